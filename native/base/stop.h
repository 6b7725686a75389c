#pragma once

#include <chrono>
#include <stop_token>

#include "base/unique_fd.h"

namespace dbbackup {

/// A request to stop that wakes both condition variables (through `token()`) and `poll` (through an eventfd).
/// Thread-safe. Once requested it stays requested.
class Stop {
 public:
  Stop();

  void request() noexcept;
  bool requested() const noexcept { return source_.stop_requested(); }
  std::stop_token token() const noexcept { return source_.get_token(); }
  /// Throws `cancelled` when a stop was requested.
  void check() const;
  /// Blocks until `fd` is ready for one of `events` (POLLIN, POLLOUT); returns the ready ones. Throws `cancelled` on a stop.
  /// With a positive `timeout` it returns 0 when that has passed.
  short wait(int fd, short events, std::chrono::milliseconds timeout = std::chrono::milliseconds{-1}) const;

 private:
  std::stop_source source_;
  UniqueFd event_;
};

}  // namespace dbbackup
