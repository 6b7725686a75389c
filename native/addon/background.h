#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace dbbackup {

/// One thread that runs jobs in order of submission, for what blocks and is not a task. It starts with the first job.
class BackgroundThread {
 public:
  /// Runs whether or not a stop was requested: it must not take long after one, and must not throw.
  using Job = std::function<void(const std::stop_token&)>;

  ~BackgroundThread() { finish(); }

  /// After `finish` it does nothing. Throws std::system_error when no thread can be started.
  void submit(Job job);
  /// Requests a stop, runs the jobs that are left, joins.
  void finish() noexcept;

 private:
  void run(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any submitted_;
  std::deque<Job> jobs_;
  bool is_finished_ = false;
  std::jthread thread_;
};

}  // namespace dbbackup
