#include "addon/background.h"

namespace dbbackup {

void BackgroundThread::submit(Job job) {
  const std::lock_guard lock(mutex_);
  if (is_finished_) return;
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  jobs_.push_back(std::move(job));
  submitted_.notify_one();
}

void BackgroundThread::finish() noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_finished_ = true;
  }
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void BackgroundThread::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    submitted_.wait(lock, stop, [this] { return !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job(stop);
    job = nullptr;
    lock.lock();
  }
}

}  // namespace dbbackup
