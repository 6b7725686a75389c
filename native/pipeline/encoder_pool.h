#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/stop.h"
#include "codec/compressor.h"
#include "memory/block_pool.h"

namespace dbbackup {

/// One block on its way to becoming a frame. Owned by whoever submitted it, who must wait for it before letting go.
class EncodeJob {
 public:
  Block raw;
  /// Receives the frame; must be held before the job is submitted, so that encoders never wait for memory.
  Block frame;
  Codec codec = Codec::kZstd;
  int level = 1;
  std::uint32_t flags = 0;
  /// A block at a high level takes a second: a stop ends it, and those that are still queued are not encoded. Null for a job that nothing
  /// stops.
  const Stop* stop = nullptr;

  /// Waits until the job is done. Throws its error, or `cancelled` when a stop came before its turn.
  void wait();

 private:
  friend class EncoderPool;
  void run(FrameEncoder& encoder) noexcept;

  std::mutex mutex_;
  std::condition_variable done_;
  bool is_done_ = false;
  std::optional<Error> error_;
};

/// The threads that compress, shared by all workers: jobs of one worker run in parallel and are collected in order by its writer.
class EncoderPool {
 public:
  explicit EncoderPool(int thread_count);
  /// Runs what is queued, then joins.
  ~EncoderPool();

  void submit(EncodeJob* job);

 private:
  void run();
  void close() noexcept;

  std::mutex mutex_;
  std::condition_variable submitted_;
  std::deque<EncodeJob*> jobs_;
  bool is_closed_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace dbbackup
