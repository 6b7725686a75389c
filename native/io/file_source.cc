#include "io/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace dbbackup {

namespace {

Error damaged(const std::string& message, const std::string& path) {
  Error error(code::kDataDamaged, message);
  error.path = path;
  return error;
}

/// Not `Error::from_errno`, which takes a refusal for a directory that cannot be written.
Error unreadable(int error_number, const std::string& what, const std::string& path) {
  Error error(code::kIoError, what + path + ": " + std::strerror(error_number));
  error.error_number = error_number;
  error.path = path;
  return error;
}

}  // namespace

// O_NONBLOCK: a named pipe must be refused, not waited for. It means nothing to a file.
FileSource::FileSource(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {
  if (!fd_ && errno == ENOENT) throw damaged("the file " + path_ + " is missing", path_);
  if (!fd_ && errno == ELOOP) throw damaged("the file " + path_ + " is a symbolic link", path_);
  if (!fd_) throw unreadable(errno, "cannot open ", path_);
  struct stat facts {};
  if (::fstat(fd_.get(), &facts) != 0) throw unreadable(errno, "cannot open ", path_);
  if (!S_ISREG(facts.st_mode)) throw damaged("the file " + path_ + " is not a regular file", path_);
  size_ = static_cast<std::uint64_t>(facts.st_size);
  // Advice only: a refusal costs nothing but speed.
  (void)::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

void FileSource::seek(std::uint64_t offset) {
  if (::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) throw unreadable(errno, "cannot seek in ", path_);
}

std::size_t FileSource::read(std::span<std::byte> into) {
  for (;;) {
    const ssize_t size = ::read(fd_.get(), into.data(), into.size());
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno != EINTR) throw unreadable(errno, "cannot read ", path_);
  }
}

void FileSource::read_exactly(std::span<std::byte> into) {
  while (!into.empty()) {
    const std::size_t size = read(into);
    if (size == 0) throw damaged("the file " + path_ + " ends too early", path_);
    into = into.subspan(size);
  }
}

}  // namespace dbbackup
