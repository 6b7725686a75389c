#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "support/bytes.h"

namespace dbbackup::test {

/// A directory of its own, removed with everything in it.
class TemporaryDirectory {
 public:
  /// `parent`: where it is created; by default the system's directory for temporary files.
  explicit TemporaryDirectory(const std::string& parent = std::filesystem::temp_directory_path());
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// Names in it, sorted.
  std::vector<std::string> names() const;

 private:
  std::string path_;
};

Bytes read_file(const std::string& path);
void write_file(const std::string& path, std::span<const std::byte> bytes);

/// Makes the calling process an ordinary user while it lives, where it is root: root may do what others may not.
class AsOrdinaryUser {
 public:
  AsOrdinaryUser();
  ~AsOrdinaryUser();
  AsOrdinaryUser(const AsOrdinaryUser&) = delete;
  AsOrdinaryUser& operator=(const AsOrdinaryUser&) = delete;
};

}  // namespace dbbackup::test
