#include "pipeline/hash_file.h"

#include <vector>

#include "base/error.h"
#include "codec/hasher.h"
#include "io/file_source.h"

namespace dbbackup {

std::string hash_file(const std::string& path, Checksum checksum, std::stop_token stop) {
  FileSource source(path);
  Hasher hasher(checksum);
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  while (const std::size_t size = source.read(buffer)) {
    if (stop.stop_requested()) throw Error(code::kCancelled, "stopped while reading " + path);
    hasher.update({buffer.data(), size});
  }
  return hasher.finish();
}

}  // namespace dbbackup
