#include "base/rate_limit.h"

#include <algorithm>

namespace dbbackup {

namespace {

/// What was not taken for so long may be taken at once.
constexpr std::chrono::milliseconds kBurst{100};

}  // namespace

void RateLimit::take(std::uint64_t bytes, const std::stop_token& token) {
  if (bytes_per_second_ == 0) return;
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> price{static_cast<double>(bytes) / static_cast<double>(bytes_per_second_)};
  paid_ = std::max(paid_, Clock::now() - kBurst) + std::chrono::duration_cast<Clock::duration>(price);
  // Each waits for what it took itself: later takers come behind it.
  never_.wait_until(lock, token, paid_ - kBurst, [] { return false; });
}

}  // namespace dbbackup
