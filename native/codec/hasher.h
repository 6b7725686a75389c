#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "codec/names.h"

namespace dbbackup {

/// Checksum of a stream: XXH3-128 as `xxhsum -H2` prints it, or SHA-256 as `sha256sum` does.
class Hasher {
 public:
  explicit Hasher(Checksum checksum);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  /// Lower-case hex of all bytes so far. Call once.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dbbackup
