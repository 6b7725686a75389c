#pragma once

#include <cstddef>
#include <span>

namespace dbbackup {

/// Where a data file's bytes go. `finish` publishes and may throw; `abort` and the destructor leave nothing behind.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Appends. After an error only `abort` or destruction may follow.
  virtual void write(std::span<const std::byte> bytes) = 0;
  /// Makes the file durable and visible under its name. Called once, last.
  virtual void finish() = 0;
  /// Removes what was written. No effect after `finish`.
  virtual void abort() noexcept = 0;
};

}  // namespace dbbackup
