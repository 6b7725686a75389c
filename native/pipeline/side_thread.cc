#include "pipeline/side_thread.h"

#include <utility>

namespace dbbackup {

SideThread::SideThread() : thread_([this] { run(); }) {}

SideThread::~SideThread() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
  // The jthread joins after the lock is released: members are destroyed after this body.
}

void SideThread::start(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  work_ = std::move(work);
  is_busy_ = true;
  changed_.notify_all();
}

void SideThread::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !is_busy_; });
}

void SideThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_busy_ || is_closed_; });
    if (!is_busy_) return;
    const std::function<void()> work = std::exchange(work_, nullptr);
    lock.unlock();
    work();
    lock.lock();
    is_busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace dbbackup
