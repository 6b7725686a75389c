#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace dbbackup {

/// A thread that runs one closure at a time for its owner: the writing half of a worker.
class SideThread {
 public:
  SideThread();
  ~SideThread();

  /// Runs `work` on the thread. The previous one must have been waited for. `work` must not throw.
  void start(std::function<void()> work);
  /// Waits until `work` has returned.
  void wait();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  bool is_busy_ = false;
  bool is_closed_ = false;
  std::jthread thread_;
};

}  // namespace dbbackup
