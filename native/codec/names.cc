#include "codec/names.h"

#include <string>

#include "base/error.h"

namespace dbbackup {

Codec parse_codec(std::string_view name) {
  if (name == "zstd") return Codec::kZstd;
  if (name == "lz4") return Codec::kLz4;
  if (name == "gzip") return Codec::kGzip;
  if (name == "none") return Codec::kNone;
  throw Error(code::kUsage, "unknown codec " + std::string(name));
}

Checksum parse_checksum(std::string_view name) {
  if (name == "xxh3-128") return Checksum::kXxh3;
  if (name == "sha256") return Checksum::kSha256;
  throw Error(code::kUsage, "unknown checksum " + std::string(name));
}

}  // namespace dbbackup
