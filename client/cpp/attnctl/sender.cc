#include "client/cpp/attnctl/sender.h"

#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn::attnctl {
namespace {

using client::AttendRequest;
using client::AttendResponse;
using client::AttendResult;

// The requests of one Send that is not answered yet. Thread-safe.
class Pending {
 public:
  Pending(size_t count, Sender::Done done)
      : results_(count), left_(count), done_(std::move(done)) {}

  void Set(size_t i, AttendResult result) {
    std::vector<AttendResult> results;
    {
      const absl::MutexLock lock(&mutex_);
      results_[i] = std::move(result);
      if (--left_ > 0) {
        return;
      }
      results.swap(results_);
    }
    done_(std::move(results));
  }

 private:
  absl::Mutex mutex_;
  std::vector<AttendResult> results_ ABSL_GUARDED_BY(mutex_);
  size_t left_ ABSL_GUARDED_BY(mutex_);
  Sender::Done done_;
};

class UnarySender : public Sender {
 public:
  explicit UnarySender(client::Client& client) : client_(client) {}

  void Send(const std::vector<AttendRequest>& requests, Done done) override {
    auto pending = std::make_shared<Pending>(requests.size(), std::move(done));
    for (size_t i = 0; i < requests.size(); ++i) {
      client_.AttendAsync(
          requests[i], [pending, i](absl::StatusOr<AttendResponse> response) {
            AttendResult result;
            result.status = response.status();
            if (response.ok()) {
              result.response = *std::move(response);
            }
            pending->Set(i, std::move(result));
          });
    }
  }

 private:
  client::Client& client_;
};

class BatchSender : public Sender {
 public:
  explicit BatchSender(client::Client& client) : client_(client) {}

  void Send(const std::vector<AttendRequest>& requests, Done done) override {
    const size_t count = requests.size();
    client_.AttendBatchAsync(
        requests, [count, done = std::move(done)](
                      absl::StatusOr<std::vector<AttendResult>> results) {
          if (results.ok()) {
            done(*std::move(results));
            return;
          }
          AttendResult failed;
          failed.status = results.status();
          done(std::vector<AttendResult>(count, failed));
        });
  }

 private:
  client::Client& client_;
};

// A thread reads the results and finds their senders by request_id.
class StreamSender : public Sender {
 public:
  explicit StreamSender(client::Client& client)
      : stream_(client.OpenStream()), reader_([this] { ReadAll(); }) {}

  ~StreamSender() override {
    {
      const absl::MutexLock lock(&write_mutex_);
      if (!finished_) {
        stream_->WritesDone();
      }
    }
    reader_.join();
  }

  void Send(const std::vector<AttendRequest>& requests, Done done) override {
    auto pending = std::make_shared<Pending>(requests.size(), std::move(done));
    for (size_t i = 0; i < requests.size(); ++i) {
      if (Register(requests[i].request_id, {pending, i})) {
        Write(requests[i]);
      } else {
        AttendResult failed;
        failed.status = absl::UnavailableError("the stream has ended");
        pending->Set(i, std::move(failed));
      }
    }
  }

 private:
  // Whom a result belongs to.
  struct Place {
    std::shared_ptr<Pending> pending;
    size_t index;
  };

  bool Register(const std::string& request_id, Place place) {
    const absl::MutexLock lock(&mutex_);
    if (!open_) {
      return false;
    }
    places_[request_id] = std::move(place);
    return true;
  }

  // A failed write means that the stream ends; the reader answers then.
  void Write(const AttendRequest& request) {
    const absl::MutexLock lock(&write_mutex_);
    if (!finished_) {
      stream_->Write(request);
    }
  }

  void ReadAll() {
    while (std::optional<AttendResult> result = stream_->Read()) {
      const std::string request_id = result->response.request_id;
      Place place;
      {
        const absl::MutexLock lock(&mutex_);
        auto node = places_.extract(request_id);
        if (node.empty()) {
          continue;
        }
        place = std::move(node.mapped());
      }
      place.pending->Set(place.index, *std::move(result));
    }
    FailTheRest();
  }

  void FailTheRest() {
    std::unordered_map<std::string, Place> rest;
    {
      const absl::MutexLock lock(&mutex_);
      open_ = false;
      rest.swap(places_);
    }
    const absl::Status status = Finish();
    for (const auto& [request_id, place] : rest) {
      AttendResult failed;
      failed.status = status.ok()
                          ? absl::InternalError("the stream gave no result")
                          : status;
      place.pending->Set(place.index, std::move(failed));
    }
  }

  // A stream that gives no more results lets no Write block either.
  absl::Status Finish() {
    const absl::MutexLock lock(&write_mutex_);
    finished_ = true;
    return stream_->Finish();
  }

  const std::unique_ptr<client::AttendStream> stream_;
  absl::Mutex write_mutex_;
  bool finished_ ABSL_GUARDED_BY(write_mutex_) = false;
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  std::unordered_map<std::string, Place> places_ ABSL_GUARDED_BY(mutex_);
  std::thread reader_;
};

}  // namespace

std::unique_ptr<Sender> MakeUnarySender(client::Client& client) {
  return std::make_unique<UnarySender>(client);
}

std::unique_ptr<Sender> MakeBatchSender(client::Client& client) {
  return std::make_unique<BatchSender>(client);
}

std::unique_ptr<Sender> MakeStreamSender(client::Client& client) {
  return std::make_unique<StreamSender>(client);
}

}  // namespace attn::attnctl
