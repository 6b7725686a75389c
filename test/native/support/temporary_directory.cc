#include "support/temporary_directory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace dbbackup::test {

namespace {

constexpr uid_t kNobody = 65534;

}  // namespace

TemporaryDirectory::TemporaryDirectory(const std::string& parent) : path_(parent + "/dbbackup-native-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot create " + path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> TemporaryDirectory::names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  Bytes bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot read " + path);
  return bytes;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

AsOrdinaryUser::AsOrdinaryUser() {
  if (::getuid() == 0 && ::seteuid(kNobody) != 0) throw std::runtime_error("cannot give up root");
}

AsOrdinaryUser::~AsOrdinaryUser() {
  if (::getuid() == 0 && ::seteuid(0) != 0) std::abort();
}

}  // namespace dbbackup::test
