// The real server over loopback, clients on the same CPUs: against a bare echo
// of the same bytes, against the engine in process, and under overload.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "attn/v1/attention.pb.h"
#include "attn/v1/session.pb.h"
#include "client/cpp/shared_region.h"
#include "core/base/check.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/figure.h"
#include "tests/bench/parts/wire_messages.h"
#include "tests/bench/raw_calls.h"
#include "tests/integration/server_process.h"
#include "tests/support/engine_runner.h"
#include "tests/support/session_runner.h"

namespace attn::bench {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using test::ServerProcess;

constexpr char kAttend[] = "/attn.v1.AttentionService/Attend";
constexpr char kAttendBatch[] = "/attn.v1.AttentionService/AttendBatch";
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";

// A session of one layer with `length` tokens.
void MakeSession(const std::string& address, const std::string& id,
                 int64_t kv_heads, int64_t dim, int64_t length) {
  v1::CreateSessionRequest create;
  create.set_session_id(id);
  create.mutable_spec()->set_num_layers(1);
  create.mutable_spec()->set_num_kv_heads(static_cast<uint32_t>(kv_heads));
  create.mutable_spec()->set_head_dim(static_cast<uint32_t>(dim));
  create.mutable_spec()->set_kv_dtype(v1::KV_DTYPE_BF16);
  v1::Session session;
  CallOnce(address, "/attn.v1.SessionService/CreateSession", create, session);
  v1::AppendKvRequest append;
  append.mutable_session()->set_session_id(id);
  FillTensor(*append.mutable_key(), DataType::kBF16, kv_heads, length, dim);
  *append.mutable_value() = append.key();
  v1::AppendKvResponse reply;
  CallOnce(address, "/attn.v1.SessionService/AppendKv", append, reply);
}

v1::AttendRequest QueryOf(const std::string& session_id, int64_t heads,
                          int64_t dim) {
  v1::AttendRequest request;
  request.mutable_session()->set_session_id(session_id);
  FillTensor(*request.mutable_query(), DataType::kF32, heads, 1, dim);
  return request;
}

// 64 connections, each with a query of 8 heads over a session of its own.
RawLoad SessionQueries(const std::string& address, int64_t tokens) {
  RawLoad load{.address = address, .method = kAttend, .requests = {}};
  for (int i = 0; i < 64; ++i) {
    const std::string id = "s" + std::to_string(i);
    MakeSession(address, id, 8, 64, tokens);
    load.requests.push_back(QueryOf(id, 8, 64).SerializeAsString());
  }
  return load;
}

class Small {
 public:
  Small()
      : load_(SessionQueries(server_.grpc_address(), 128)),
        echo_(ReplyBytes(load_)),
        calls_(load_),
        echoes_({echo_.address(), "/bench.Echo/Echo", load_.requests}) {}

  double RateOverEcho() {
    constexpr duration<double> kTime(0.5);
    const double before = echoes_.CallsPerSecond(kTime);
    const double rate = calls_.CallsPerSecond(kTime);
    return rate / ((before + echoes_.CallsPerSecond(kTime)) / 2);
  }

 private:
  ServerProcess server_;
  const RawLoad load_;
  EchoProcess echo_;
  Connections calls_;
  Connections echoes_;
};

// 64 sessions of 4096 tokens, 8 KV heads, 4 query heads each: a token for all
// in one AttendBatch, over the same by the engine in process.
class DecodeStep {
 public:
  DecodeStep() : runner_(int64_t{3} << 30) {
    v1::AttendBatchRequest batch;
    const test::AttentionCase past = Case(kTokens, kKvHeads);
    for (uint64_t i = 0; i < 64; ++i) {
      const std::string id = "d" + std::to_string(i);
      MakeSession(server_.grpc_address(), id, kKvHeads, kDim, kTokens);
      v1::AttendRequest& request = *batch.add_requests();
      request = QueryOf(id, kKvHeads * 4, kDim);
      FillTensor(*request.mutable_key(), DataType::kF32, kKvHeads, 1, kDim);
      *request.mutable_value() = request.key();
      sessions_.push_back(runner_.Create(past, KvDtype::kBF16));
      ATTN_CHECK(runner_.Append(*sessions_.back(), past, {}).ok());
      tokens_.push_back(Case(1, kKvHeads * 4));
    }
    calls_ = std::make_unique<Connections>(RawLoad{
        server_.grpc_address(), kAttendBatch, {batch.SerializeAsString()}});
  }

  double Efficiency() {
    const double in_process = SecondsOf([this] {
      for (int i = 0; i < kSteps; ++i) {
        for (const auto& answer : runner_.AttendAll(sessions_, tokens_, {})) {
          ATTN_CHECK(answer.ok());
        }
      }
    });
    return in_process / calls_->SecondsOfCalls(kSteps);
  }

 private:
  static constexpr int64_t kTokens = 4096;
  static constexpr int64_t kKvHeads = 8;
  static constexpr int64_t kDim = 128;
  static constexpr int kSteps = 30;

  static test::AttentionCase Case(int64_t length, int64_t heads) {
    test::CaseOptions options;
    options.num_q_heads = heads;
    options.num_kv_heads = kKvHeads;
    options.q_len = options.kv_len = length;
    options.head_dim = options.value_head_dim = kDim;
    return test::MakeCase(options);
  }

  ServerProcess server_{{"--kv-memory", "3GiB"}};
  test::SessionRunner runner_;
  std::vector<SessionPtr> sessions_;
  std::vector<test::AttentionCase> tokens_;
  std::unique_ptr<Connections> calls_;
};

// Keys and values of 8 MiB each without a session, 16 heads, bf16.
class LargeTensors {
 public:
  LargeTensors(int64_t q_len, int num_calls)
      : num_calls_(num_calls), engine_(2) {
    test::CaseOptions options;
    options.num_q_heads = options.num_kv_heads = 16;
    options.q_len = q_len;
    options.kv_len = 2048;
    options.head_dim = options.value_head_dim = 128;
    options.dtype = DataType::kBF16;
    case_ = std::make_unique<test::AttentionCase>(test::MakeCase(options));
    v1::AttendRequest request;
    FillTensor(*request.mutable_query(), DataType::kBF16, 16, q_len, 128);
    FillTensor(*request.mutable_key(), DataType::kBF16, 16, 2048, 128);
    *request.mutable_value() = request.key();
    calls_ = std::make_unique<Connections>(RawLoad{
        server_.grpc_address(), kAttend, {request.SerializeAsString()}});
    for (v1::Tensor* tensor : {request.mutable_query(), request.mutable_key(),
                               request.mutable_value()}) {
      MoveToRegion(*tensor);
    }
    *request.mutable_output()->mutable_shared() =
        TakeOfRegion(int64_t{16} * q_len * 128 * 2);
    shared_calls_ = std::make_unique<Connections>(RawLoad{
        server_.grpc_address(), kAttend, {request.SerializeAsString()}});
  }

  // Time of tensors that are sent over that of tensors in shared memory.
  double SpeedupOfSharedMemory() {
    const double before = calls_->SecondsOfCalls(num_calls_);
    const double shared = shared_calls_->SecondsOfCalls(num_calls_);
    const double after = calls_->SecondsOfCalls(num_calls_);
    return (before + after) / 2 / shared;
  }

  // One call after another through loopback, over the same in process, where
  // tensors are copied in as well: what a way without a network could save.
  double TimeOverInProcess() {
    const double in_process = SecondsOf([this] { RunInProcess(); });
    return calls_->SecondsOfCalls(num_calls_) / in_process;
  }

  // CPU time that the engine takes in process over the server's.
  double Efficiency() {
    const double engine_start = OwnCpuSeconds();
    RunInProcess();
    const double engine = OwnCpuSeconds() - engine_start;
    const double server_start = server_.CpuSeconds();
    calls_->SecondsOfCalls(num_calls_);
    return engine / (server_.CpuSeconds() - server_start);
  }

 private:
  v1::SharedRange TakeOfRegion(int64_t size) {
    const auto place =
        *region_->Place(client::DType::kBool, {size}, region_used_);
    region_used_ += size;
    v1::SharedRange range;
    range.set_region_id(place.shared_place()->region_id);
    range.set_offset(place.shared_place()->offset);
    range.set_size(static_cast<uint64_t>(size));
    return range;
  }

  void MoveToRegion(v1::Tensor& tensor) {
    const std::string data = std::move(*tensor.mutable_data());
    tensor.clear_data();
    *tensor.mutable_shared() = TakeOfRegion(static_cast<int64_t>(data.size()));
    std::memcpy(region_->data() + tensor.shared().offset(), data.data(),
                data.size());
  }

  void RunInProcess() {
    for (int i = 0; i < num_calls_; ++i) {
      ATTN_CHECK(engine_.Run({case_.get()})[0].ok());
    }
  }

  static double OwnCpuSeconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) +
             static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  const int num_calls_;
  const std::string socket_ = "/tmp/attn_bench_" + std::to_string(getpid()) +
                              "_" + std::to_string(num_calls_);
  ServerProcess server_{{"--shared-memory-socket", socket_}};
  const std::shared_ptr<client::SharedRegion> region_ =
      *client::SharedRegion::Open(socket_, int64_t{32} << 20);
  int64_t region_used_ = 0;
  test::EngineRunner engine_;
  std::unique_ptr<test::AttentionCase> case_;
  std::unique_ptr<Connections> calls_;
  std::unique_ptr<Connections> shared_calls_;
};

// Queries over sessions of 16384 tokens, half as many again as can be answered,
// each with 200 ms to live; and Check calls meanwhile.
class Overload {
 public:
  Overload() : calls_(SessionQueries(server_.grpc_address(), 16384)) {
    // The server estimates waits by what it has seen, and its first tasks were
    // slow: all 64 at once would be QUEUE_FULL.
    calls_.SecondsOfCalls(50);
  }

  struct Outcome {
    double goodput = 0;
    double health_p99_ms = 0;
  };
  Outcome Run() {
    const double capacity = calls_.CallsPerSecond(duration<double>(1));
    std::atomic<bool> is_over = false;
    std::vector<double> checks_ms;
    std::thread checker([&] {
      Connections health({server_.grpc_address(), kHealthCheck, {""}});
      while (!is_over) {
        checks_ms.push_back(1000 * health.SecondsOfCalls(1));
        std::this_thread::sleep_for(milliseconds(5));
      }
    });
    const double good = calls_.GoodCallsPerSecond(
        1.5 * capacity, milliseconds(200), duration<double>(4));
    is_over = true;
    checker.join();
    std::sort(checks_ms.begin(), checks_ms.end());
    return {.goodput = good / capacity,
            .health_p99_ms = checks_ms[checks_ms.size() * 99 / 100]};
  }

 private:
  ServerProcess server_{{"--kv-memory", "4GiB"}};
  Connections calls_;
};

template <typename Load>
std::shared_ptr<Lazy<Load>> MakeLazy() {
  return std::make_shared<Lazy<Load>>([] { return std::make_unique<Load>(); });
}

}  // namespace

Figures ServeFigures() {
  auto small = MakeLazy<Small>();
  auto decode = MakeLazy<DecodeStep>();
  const auto large = [](int64_t q_len, int num_calls) {
    return std::make_shared<Lazy<LargeTensors>>([q_len, num_calls] {
      return std::make_unique<LargeTensors>(q_len, num_calls);
    });
  };
  // So many that the first 10 ms count little, when threads of the side that
  // was idle are still slow.
  auto prefill = large(2048, 8);
  auto one_query = large(1, 60);
  auto overload = MakeLazy<Overload>();
  return {
      {"serve.small.rps_vs_echo",
       "64 clients, 8 heads over 128 tokens, over an echo of the bytes",
       Goal::kAtLeast, 0.85, [small] { return (**small).RateOverEcho(); }},
      {"serve.decode.efficiency",
       "64 sessions of 4096 tokens by AttendBatch, over the engine",
       Goal::kAtLeast, 0.85, [decode] { return (**decode).Efficiency(); }},
      {"serve.prefill.efficiency.s2048",
       "16 heads, bf16: CPU of the engine over CPU of the server",
       Goal::kAtLeast, 0.85, [prefill] { return (**prefill).Efficiency(); }},
      {"serve.transport.prefill_8mib_ratio",
       "that, time through loopback over time in process; past 2 another "
       "way pays",
       Goal::kAtMost, 2, [prefill] { return (**prefill).TimeOverInProcess(); }},
      {"serve.transport.one_query_8mib_ratio",
       "the same of 1 query, keys and values sent along", Goal::kAtMost, 2,
       [one_query] { return (**one_query).TimeOverInProcess(); }},
      {"serve.shared_memory.one_query_speedup",
       "that with all tensors in shared memory: time of sent ones over it",
       Goal::kAtLeast, 2,
       [one_query] { return (**one_query).SpeedupOfSharedMemory(); }},
      {"serve.shared_memory.prefill_speedup", "the same of 2048 queries",
       Goal::kAtLeast, 1,
       [prefill] { return (**prefill).SpeedupOfSharedMemory(); }},
      {"serve.overload.goodput",
       "open loop at 150 %, answered within 200 ms over capacity",
       Goal::kAtLeast, 0.95, [overload] { return (**overload).Run().goodput; }},
      {"serve.health_p99_ms", "Check under that overload", Goal::kAtMost, 20,
       [overload] { return (**overload).Run().health_p99_ms; }}};
}

}  // namespace attn::bench
