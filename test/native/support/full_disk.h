#pragma once

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <stdexcept>

#include "support/temporary_directory.h"

namespace dbbackup::test {

/// Limits the size of files this process may write, as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error("cannot limit the size of files");
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

/// A file system of its own, of a few megabytes.
class SmallFileSystem {
 public:
  SmallFileSystem() { is_mounted_ = ::mount("none", directory_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=3m,mode=0777") == 0; }
  ~SmallFileSystem() {
    if (is_mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;
  bool is_mounted() const noexcept { return is_mounted_; }
  const TemporaryDirectory& directory() const noexcept { return directory_; }

 private:
  TemporaryDirectory directory_;
  bool is_mounted_ = false;
};

}  // namespace dbbackup::test
