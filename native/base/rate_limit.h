#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace dbbackup {

/// A token bucket that threads share: together they take so many bytes a second on average. Thread-safe.
class RateLimit {
 public:
  /// 0: no limit.
  explicit RateLimit(std::uint64_t bytes_per_second) noexcept : bytes_per_second_(bytes_per_second) {}

  /// Counts `bytes` that were moved and waits until the next ones may be, or until a stop is requested.
  void take(std::uint64_t bytes, const std::stop_token& token);

 private:
  using Clock = std::chrono::steady_clock;

  const std::uint64_t bytes_per_second_;
  std::mutex mutex_;
  std::condition_variable_any never_;
  /// When all that was taken so far is paid for.
  Clock::time_point paid_{};
};

}  // namespace dbbackup
