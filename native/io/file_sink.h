#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"
#include "io/sink.h"
#include "memory/block_pool.h"

namespace dbbackup {

/// A local file, written under a temporary name (`.tmp` appended, mode 0600) and renamed when it is complete and durable:
/// fsync of the file, rename that refuses to replace, fsync of the directory. Throws disk_full, not_writable or io_error.
class FileSink final : public Sink {
 public:
  /// `buffer`, borrowed, gathers small writes and is what O_DIRECT writes from. With `is_direct` the file is written past the page cache
  /// where the file system allows it: a backup is not read again soon and must not push the server's pages out.
  FileSink(std::string path, bool is_direct, Block& buffer);
  ~FileSink() override { abort(); }

  void write(std::span<const std::byte> bytes) override;
  void finish() override;
  void abort() noexcept override;

  bool is_direct() const noexcept { return is_direct_; }

 private:
  void write_out(std::span<const std::byte> bytes);
  void leave_direct();
  std::string temporary_path() const { return path_ + ".tmp"; }

  std::string path_;
  UniqueFd fd_;
  bool is_direct_;
  bool is_finished_ = false;
  Block& buffer_;
};

/// Makes the entries of a directory durable.
void sync_directory(const std::string& path);

}  // namespace dbbackup
