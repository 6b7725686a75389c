#include "io/file_sink.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace dbbackup {

namespace {

/// O_DIRECT wants offset, length and address aligned to the device's block; 4 kB suits every device in use.
constexpr std::size_t kAlignment = 4096;
/// The buffer is written out in pieces of this size: a multiple of the alignment within a block.
constexpr std::size_t kWriteBytes = kBlockRawBytes;

}  // namespace

FileSink::FileSink(std::string path, bool is_direct, Block& buffer) : path_(std::move(path)), is_direct_(is_direct), buffer_(buffer) {
  buffer_.size = 0;
  const std::string temporary = temporary_path();
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  if (is_direct_) {
    fd_.reset(::open(temporary.c_str(), flags | O_DIRECT, 0600));
    // EINVAL says that the file system has no O_DIRECT (tmpfs before Linux 6.6, some network file systems); the file may exist by then.
    if (!fd_ && errno == EINVAL) {
      is_direct_ = false;
      ::unlink(temporary.c_str());
    }
  }
  if (!fd_ && !is_direct_) fd_.reset(::open(temporary.c_str(), flags, 0600));
  if (!fd_) throw Error::from_errno(errno, "cannot create " + path_, path_);
}

void FileSink::write_out(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd_.get(), bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EINVAL && is_direct_) {
      // Opened but refused at the first write, as some file systems do; or a short write left the offset unaligned.
      leave_direct();
      continue;
    }
    if (size < 0) throw Error::from_errno(errno, "cannot write " + path_, path_);
    if (size == 0) throw Error::from_errno(ENOSPC, "cannot write " + path_, path_);
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
}

void FileSink::leave_direct() {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags & ~O_DIRECT) < 0) throw Error::from_errno(errno, "cannot write " + path_, path_);
  is_direct_ = false;
}

void FileSink::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size(), kWriteBytes - buffer_.size);
    std::memcpy(buffer_.data() + buffer_.size, bytes.data(), part);
    buffer_.size += part;
    bytes = bytes.subspan(part);
    if (buffer_.size == kWriteBytes) {
      write_out(buffer_.bytes());
      buffer_.size = 0;
    }
  }
}

void FileSink::finish() {
  const std::size_t aligned = is_direct_ ? buffer_.size / kAlignment * kAlignment : 0;
  write_out(buffer_.bytes().first(aligned));
  if (is_direct_ && buffer_.size > aligned) leave_direct();
  write_out(buffer_.bytes().subspan(aligned));
  if (::fdatasync(fd_.get()) != 0) throw Error::from_errno(errno, "cannot sync " + path_, path_);

  const std::string temporary = temporary_path();
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    // Some network file systems have no RENAME_NOREPLACE; names are unique by construction, so a plain rename is safe there.
    if (errno != EINVAL || ::access(path_.c_str(), F_OK) == 0 || ::rename(temporary.c_str(), path_.c_str()) != 0) {
      throw Error::from_errno(errno, "cannot publish " + path_, path_);
    }
  }
  is_finished_ = true;
  fd_.reset();
  try {
    sync_directory(path_.substr(0, path_.find_last_of('/')));
  } catch (const Error&) {
    // Nobody has been told of the file: what is not known to be durable must not stay behind.
    ::unlink(path_.c_str());
    throw;
  }
}

void FileSink::abort() noexcept {
  if (is_finished_ || !fd_) return;
  fd_.reset();
  ::unlink((path_ + ".tmp").c_str());
}

void sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) throw Error::from_errno(errno, "cannot sync directory " + path, path);
}

}  // namespace dbbackup
