#include "core/engine/forward_job.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/attention/validate_session.h"
#include "core/base/check.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/engine/head_norm.h"
#include "core/engine/session_calls.h"
#include "core/engine/task_cost.h"
#include "core/memory/aligned_buffer.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

constexpr int64_t kMaxLength = std::numeric_limits<int64_t>::max();

int64_t Aligned(int64_t bytes) { return RoundUp(bytes, kBufferAlignment); }

// `n` elements as f32, through a buffer that stays in L1.
void ReadAsF32(const TensorSpec& tensor, const ReadBytes& read, float* to) {
  if (tensor.dtype == DataType::kF32) {
    return read(0, tensor.data_bytes, reinterpret_cast<std::byte*>(to));
  }
  constexpr int64_t kElements = 4096;
  const int64_t size = ElementBytes(tensor.dtype);
  ATTN_CHECK(size > 0);
  std::byte part[kElements * sizeof(double)];
  const int64_t n = tensor.data_bytes / size;
  for (int64_t first = 0; first < n; first += kElements) {
    const int64_t count = std::min(kElements, n - first);
    read(first * size, count * size, part);
    ConvertToF32(tensor.dtype, part, count, 1.0f, to + first);
  }
}

// Keys and values of the layer are of the session's form.
absl::Status CheckSpec(const AttentionLayer& layer, const KvSpec& spec) {
  ATTN_RETURN_IF_ERROR(CheckFitsSession("layer", "'s num_kv_heads",
                                        layer.num_kv_heads, spec.num_kv_heads));
  ATTN_RETURN_IF_ERROR(
      CheckFitsSession("layer", "'s head_dim", layer.head_dim, spec.head_dim));
  return CheckFitsSession("layer", "'s value_head_dim", layer.head_dim,
                          spec.value_head_dim);
}

}  // namespace

ForwardJob::ForwardJob(Engine& engine, ForwardRequest request, ForwardPlan plan)
    : engine_(engine), request_(std::move(request)), plan_(std::move(plan)) {}

absl::StatusOr<ForwardJobPtr> PrepareForward(Engine& engine,
                                             ForwardRequest request) {
  ATTN_ASSIGN_OR_RETURN(
      ForwardPlan plan,
      PlanForward(*request.layer, request.spec, request.session != nullptr));
  const ForwardJobPtr job(
      new ForwardJob(engine, std::move(request), std::move(plan)));
  ATTN_ASSIGN_OR_RETURN(AttentionPlan attention, job->PlanAttention());
  ATTN_RETURN_IF_ERROR(job->CheckReply(attention));
  if (job->request_.session == nullptr) {
    job->attention_plan_ = std::move(attention);
  }
  job->facts_ = job->Facts();
  ATTN_ASSIGN_OR_RETURN(job->ticket_, engine.AdmitJob(job->facts_));
  job->request_.options.job_ticket = &job->ticket_;
  ATTN_RETURN_IF_ERROR(job->TakeMemory());
  job->CopyTensors();
  return job;
}

// A session's length is settled when its turn comes, and so is what depends on
// it. Until then it is taken for no longer than it is, unless the mask wants
// it.
absl::StatusOr<AttentionPlan> ForwardJob::PlanAttention() {
  if (request_.session == nullptr) {
    return ValidateRequest(plan_.attention, request_.limits);
  }
  Session& session = *request_.session;
  ATTN_RETURN_IF_ERROR(
      session.CheckLayer(request_.session_layer, "session.layer"));
  ATTN_RETURN_IF_ERROR(CheckSpec(*request_.layer, session.spec()));
  request_.options.tenant = &session.tenant();
  const int64_t length =
      std::min(session.Lock(request_.session_layer)->length(),
               request_.expected_length.value_or(kMaxLength));
  const Dims& mask = plan_.attention.attn_mask.dims;
  const int64_t wanted = mask.empty() ? 0 : mask.back() - plan_.kv_len;
  return ValidateSessionRequest(
      plan_.attention, SessionLayerOf(session.spec(), std::max(length, wanted)),
      request_.limits);
}

absl::Status ForwardJob::CheckReply(const AttentionPlan& attention) {
  const int64_t bytes = plan_.output_bytes + attention.lse_bytes +
                        attention.weights_bytes + 2 * attention.top_bytes;
  if (request_.check_reply == nullptr || bytes <= reply_bytes_) {
    return absl::OkStatus();
  }
  return request_.check_reply(bytes - std::exchange(reply_bytes_, bytes));
}

TaskFacts ForwardJob::Facts() const {
  const AttentionLayer& layer = *request_.layer;
  const int64_t states_bytes =
      (plan_.num_rows() + (plan_.has_context ? plan_.num_kv_rows() : 0)) *
      layer.hidden_dim * int64_t{sizeof(float)};
  double cost = ProjectionCost(InputParts()) +
                2 * static_cast<double>(plan_.num_rows()) *
                    static_cast<double>(layer.output->in_dim()) *
                    static_cast<double>(layer.output->out_dim());
  int64_t attention_bytes = 2 * (plan_.query_bytes + plan_.kv_bytes);
  if (attention_plan_.has_value()) {
    cost += EstimateCost(*attention_plan_);
    attention_bytes = AttentionTask::InputBytes(*attention_plan_) +
                      AttentionTask::ReplyBytes(*attention_plan_);
  }
  return {.priority = request_.options.priority,
          .deadline = request_.options.deadline,
          .bytes = states_bytes + attention_bytes + plan_.output_f32_bytes +
                   plan_.output_bytes,
          .cost = cost,
          .num_query_tokens = plan_.num_rows(),
          .kind = plan_.q_len <= kMaxDecodeQueryLength ? TaskKind::kDecode
                                                       : TaskKind::kPrefill,
          .tenant = request_.options.tenant};
}

absl::Status ForwardJob::TakeMemory() {
  const bool has_session = request_.session != nullptr;
  const bool narrows = plan_.output_dtype != DataType::kF32;
  const int64_t state_bytes =
      request_.layer->hidden_dim * int64_t{sizeof(float)};
  const int64_t sizes[] = {
      plan_.num_rows() * state_bytes,
      plan_.has_context ? plan_.num_kv_rows() * state_bytes : 0,
      has_session ? plan_.query_bytes : 0,
      has_session ? plan_.kv_bytes : 0,
      has_session ? plan_.kv_bytes : 0,
      narrows ? plan_.output_f32_bytes : 0,
      has_session ? plan_.attention.attn_mask.data_bytes : 0};
  int64_t total = 0;
  for (const int64_t size : sizes) total += Aligned(size);
  ATTN_ASSIGN_OR_RETURN(work_, engine_.LeaseMemory(total));
  ATTN_ASSIGN_OR_RETURN(reply_, engine_.LeaseMemory(plan_.output_bytes));
  float** const places[] = {&at_.hidden, &at_.context, &at_.query,
                            &at_.key,    &at_.value,   &at_.output};
  std::byte* next = work_.data();
  for (size_t i = 0; i < std::size(places); ++i) {
    *places[i] = reinterpret_cast<float*>(next);
    next += Aligned(sizes[i]);
  }
  at_.mask = next;
  if (!narrows) at_.output = reinterpret_cast<float*>(reply_.data());
  if (has_session) return absl::OkStatus();
  // Projections go straight to where attention reads them.
  ATTN_ASSIGN_OR_RETURN(attention_, engine_.Prepare(*std::move(attention_plan_),
                                                    request_.options));
  at_.query = reinterpret_cast<float*>(attention_->query());
  at_.key = reinterpret_cast<float*>(attention_->key());
  at_.value = reinterpret_cast<float*>(attention_->value());
  at_.mask = attention_->mask();
  return absl::OkStatus();
}

void ForwardJob::CopyTensors() {
  const ForwardSpec& spec = request_.spec;
  ReadAsF32(spec.hidden, request_.hidden, at_.hidden);
  if (plan_.has_context) {
    ReadAsF32(spec.context, request_.context, at_.context);
  }
  if (spec.attn_mask.is_present) {
    if (spec.attn_mask.dtype == plan_.attention.attn_mask.dtype) {
      request_.attn_mask(0, spec.attn_mask.data_bytes, at_.mask);
    } else {
      ReadAsF32(spec.attn_mask, request_.attn_mask,
                reinterpret_cast<float*>(at_.mask));
    }
  }
  // What they borrow may go.
  request_.hidden = request_.context = request_.attn_mask = nullptr;
}

ProjectedParts ForwardJob::InputParts() const {
  const AttentionLayer& layer = *request_.layer;
  const Projection query{layer.query.get(),
                         {at_.query, layer.query->out_dim()}};
  const Projection key{layer.key.get(), {at_.key, layer.key->out_dim()}};
  const Projection value{layer.value.get(),
                         {at_.value, layer.value->out_dim()}};
  const InRows hidden{at_.hidden, layer.hidden_dim};
  if (!plan_.has_context) {
    return {{hidden, plan_.num_rows(), {query, key, value}}};
  }
  const InRows context{at_.context, layer.hidden_dim};
  return {{hidden, plan_.num_rows(), {query}},
          {context, plan_.num_kv_rows(), {key, value}}};
}

TaskSubmission ForwardJob::ProjectionStep(ProjectedParts parts, TaskNext next) {
  TaskFacts facts = facts_;
  facts.cost = ProjectionCost(parts);
  return {.task = std::make_shared<ProjectionTask>(facts, ticket_,
                                                   std::move(parts)),
          .next = std::move(next)};
}

std::optional<TaskSubmission> ForwardJob::Start(TaskSubmission step) {
  {
    absl::MutexLock lock(&mutex_);
    if (!is_cancelled_) {
      step_ = step.task;
      return step;
    }
  }
  const bool is_late = request_.options.deadline <= engine_.clock().Now();
  End(is_late ? absl::DeadlineExceededError("the deadline passed")
              : absl::CancelledError("the client went away"),
      is_late ? Outcome::kExpired : Outcome::kCancelled);
  return std::nullopt;
}

TaskSubmission ForwardJob::ProjectInputs() {
  return ProjectionStep(InputParts(),
                        [self = shared_from_this()](EngineTask& step) {
                          return self->InputsAreProjected(step);
                        });
}

std::optional<TaskSubmission> ForwardJob::InputsAreProjected(EngineTask& step) {
  batch_size_ = step.batch_size();
  times_.queue_wait = step.times().queue_wait;
  start_time_ = step.enqueue_time() + times_.queue_wait;
  if (!step.status().ok()) {
    End(step.status(), step.outcome());
    return std::nullopt;
  }
  const AttentionLayer& layer = *request_.layer;
  if (layer.query_norm.is_on()) {
    NormalizeHeads(layer.query_norm, plan_.num_rows(), layer.num_q_heads,
                   at_.query);
  }
  if (layer.key_norm.is_on()) {
    NormalizeHeads(layer.key_norm, plan_.num_kv_rows(), layer.num_kv_heads,
                   at_.key);
  }
  return Attend();
}

std::optional<TaskSubmission> ForwardJob::Attend() {
  if (request_.session != nullptr) {
    auto task = PrepareOnSession();
    if (!task.ok()) {
      // The client's doing, or the session's memory: the engine did its part.
      End(task.status(), Outcome::kCompleted);
      return std::nullopt;
    }
    attention_ = *std::move(task);
  }
  return Start({.task = attention_,
                .next = [self = shared_from_this()](EngineTask& step) {
                  return self->HasAttended(step);
                }});
}

absl::StatusOr<AttentionTaskPtr> ForwardJob::PrepareOnSession() {
  const auto from = [](const float* data) {
    return [data](int64_t offset, int64_t bytes, std::byte* to) {
      const auto* first = reinterpret_cast<const std::byte*>(data) + offset;
      std::copy(first, first + bytes, to);
    };
  };
  const SessionCall call{
      .session = *request_.session,
      .layer = request_.session_layer,
      .expected_length = request_.expected_length,
      .spec = plan_.attention,
      .append = request_.append,
      .tensors = {.layout = Layout::kBSE,
                  .key = {DataType::kF32, from(at_.key)},
                  .value = {DataType::kF32, from(at_.value)}}};
  const TaskRequest request{
      .limits = request_.limits,
      .options = request_.options,
      .check_reply =
          [this](const AttentionPlan& plan) { return CheckReply(plan); },
      .copy_inputs =
          [this](AttentionTask& task) {
            const auto* query = reinterpret_cast<const std::byte*>(at_.query);
            std::copy(query, query + plan_.query_bytes, task.query());
            std::copy(at_.mask, at_.mask + task.plan().mask_bytes, task.mask());
          }};
  return PrepareSessionTask(engine_, call, request);
}

std::optional<TaskSubmission> ForwardJob::HasAttended(EngineTask& step) {
  if (!step.status().ok()) {
    End(step.status(), step.outcome());
    return std::nullopt;
  }
  const Linear& linear = *request_.layer->output;
  const auto* attended = reinterpret_cast<const float*>(attention_->output());
  return Start(ProjectionStep({{{attended, linear.in_dim()},
                                plan_.num_rows(),
                                {{&linear, {at_.output, linear.out_dim()}}}}},
                              [self = shared_from_this()](EngineTask& last) {
                                self->OutputIsProjected(last);
                                return std::optional<TaskSubmission>();
                              }));
}

void ForwardJob::OutputIsProjected(EngineTask& step) {
  if (step.status().ok() && plan_.output_dtype != DataType::kF32) {
    ConvertFromF32(at_.output, plan_.output_f32_bytes / int64_t{sizeof(float)},
                   plan_.output_dtype, reply_.data());
  }
  if (step.status().ok()) {
    engine_.metrics().ForwardTokens(request_.layer->name, plan_.num_rows());
  }
  End(step.status(), step.outcome());
}

void ForwardJob::End(absl::Status status, Outcome outcome) {
  const TimePoint now = engine_.clock().Now();
  times_.compute = start_time_ == TimePoint{} ? Duration{} : now - start_time_;
  status_ = std::move(status);
  {
    absl::MutexLock lock(&mutex_);
    step_ = nullptr;
  }
  work_ = PooledBuffer();
  ticket_ = AdmissionTicket();
  request_.session = nullptr;
  engine_.CountEnd(outcome, facts_.kind, times_);
  std::exchange(done_, nullptr)(*this);
}

void SubmitForward(const ForwardJobPtr& job, ForwardDone done) {
  SubmitForwardTogether({{job, std::move(done)}});
}

void SubmitForwardTogether(std::vector<ForwardSubmission> submissions) {
  if (submissions.empty()) return;
  Engine& engine = submissions.front().job->engine_;
  std::vector<TaskSubmission> steps;
  for (ForwardSubmission& submission : submissions) {
    ForwardJob& job = *submission.job;
    job.done_ = std::move(submission.done);
    engine.metrics().TaskAdmitted();
    if (auto step = job.Start(job.ProjectInputs())) {
      steps.push_back(*std::move(step));
    }
  }
  engine.SubmitTogether(std::move(steps));
}

void CancelForward(const ForwardJobPtr& job) {
  EngineTaskPtr step;
  {
    absl::MutexLock lock(&job->mutex_);
    job->is_cancelled_ = true;
    step = job->step_;
  }
  if (step != nullptr) job->engine_.Cancel(step);
}

}  // namespace attn
