#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.h"

namespace dbbackup {

/// A local file read from front to back. Symbolic links are refused: names come from manifests. Throws io_error; a missing file is
/// `data_damaged`.
class FileSource {
 public:
  explicit FileSource(std::string path);

  std::uint64_t size() const noexcept { return size_; }
  void seek(std::uint64_t offset);
  /// Reads up to `into.size()` bytes; 0 at the end of the file.
  std::size_t read(std::span<std::byte> into);
  /// Reads exactly `into.size()` bytes. Throws `data_damaged` when the file ends before.
  void read_exactly(std::span<std::byte> into);

 private:
  std::string path_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
};

}  // namespace dbbackup
