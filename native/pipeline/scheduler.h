#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/rate_limit.h"
#include "base/stop.h"
#include "pipeline/task.h"

namespace dbbackup {

class EncoderPool;
class Worker;

/// Owns every thread of the data path: per worker one that reads and one that writes, and the encoders all share. Tasks run in order of
/// submission.
class Scheduler {
 public:
  /// Called once per task, on a worker's thread; must not throw or block.
  using Completion = std::function<void(Outcome)>;

  explicit Scheduler(const EngineOptions& options);
  /// Stops, joins, and completes what was still queued with `cancelled`.
  ~Scheduler();

  /// Queues a task. After a stop it completes with `cancelled`.
  void submit(TaskSpec task, Completion done);
  /// Any thread.
  EngineStats stats() const;
  /// Any thread. What the worker of that task is at; nullopt when none is at it.
  std::optional<WorkerProbe> probe(std::int64_t task_id) const;
  /// Any thread. Cuts the connection of that task, which fails with `connection_lost`. False when it has none.
  bool sever(std::int64_t task_id) noexcept;
  void stop() noexcept;

 private:
  struct Job {
    TaskSpec task;
    Completion done;
  };
  void run_worker(Worker& worker);

  Stop stop_;
  RateLimit rate_;
  std::mutex mutex_;
  std::condition_variable_any submitted_;
  std::deque<Job> jobs_;
  std::unique_ptr<EncoderPool> encoders_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::jthread> threads_;
};

}  // namespace dbbackup
