#pragma once

#include <cstddef>
#include <span>

namespace dbbackup {

/// Writes `raw` (1 to 2^20 bytes) as a zstd frame of raw blocks with content size and checksum (RFC 8878, 3.1.1) and returns its size:
/// raw.size() + 9 for the frame header, 3 for each 128 KiB block, 4 for the checksum. Costs a copy and an XXH64.
std::size_t write_raw_zstd_frame(std::span<const std::byte> raw, std::span<std::byte> into);

}  // namespace dbbackup
