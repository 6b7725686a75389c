#pragma once

#include <string_view>

namespace dbbackup {

enum class Codec { kZstd, kLz4, kGzip, kNone };
enum class Checksum { kXxh3, kSha256 };

/// Names as in the manifest. Both throw `usage` for a name that is none.
Codec parse_codec(std::string_view name);
Checksum parse_checksum(std::string_view name);

}  // namespace dbbackup
