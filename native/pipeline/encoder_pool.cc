#include "pipeline/encoder_pool.h"

namespace dbbackup {

void EncodeJob::wait() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return is_done_; });
  if (error_) throw *error_;
}

void EncodeJob::run(FrameEncoder& encoder) noexcept {
  std::optional<Error> error;
  try {
    if (stop != nullptr) stop->check();
    frame.size = encoder.encode(codec, level, flags, raw.bytes(), {frame.data(), kBlockBytes}, stop);
  } catch (const Error& failure) {
    error = failure;
  } catch (const std::exception& failure) {
    error = Error(code::kInternal, failure.what());
  }
  // Notified under the lock: the owner may destroy the job as soon as it sees is_done_.
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
  is_done_ = true;
  done_.notify_all();
}

EncoderPool::EncoderPool(int thread_count) {
  try {
    for (int index = 0; index < thread_count; ++index) threads_.emplace_back([this] { run(); });
  } catch (...) {
    // The threads that did start are joined on the way out.
    close();
    throw;
  }
}

EncoderPool::~EncoderPool() {
  close();
  threads_.clear();
}

void EncoderPool::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  submitted_.notify_all();
}

void EncoderPool::submit(EncodeJob* job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(job);
  }
  submitted_.notify_one();
}

void EncoderPool::run() {
  FrameEncoder encoder;
  for (;;) {
    EncodeJob* job = nullptr;
    {
      std::unique_lock lock(mutex_);
      submitted_.wait(lock, [this] { return is_closed_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = jobs_.front();
      jobs_.pop_front();
    }
    job->run(encoder);
  }
}

}  // namespace dbbackup
