#include "codec/raw_zstd_frame.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dbbackup {

namespace {

constexpr std::uint32_t kMagic = 0xFD2FB528;
/// Frame_Content_Size of 4 bytes, Single_Segment, Content_Checksum.
constexpr unsigned char kDescriptor = 0b1010'0100;
constexpr std::size_t kBlockMaximumBytes = std::size_t{128} << 10;
constexpr std::size_t kFrameHeaderBytes = 9;
constexpr std::size_t kBlockHeaderBytes = 3;
constexpr std::size_t kChecksumBytes = 4;

}  // namespace

std::size_t write_raw_zstd_frame(std::span<const std::byte> raw, std::span<std::byte> into) {
  const std::size_t blocks = (raw.size() + kBlockMaximumBytes - 1) / kBlockMaximumBytes;
  const std::size_t size = kFrameHeaderBytes + blocks * kBlockHeaderBytes + raw.size() + kChecksumBytes;
  const std::byte* const from = raw.data();
  if (from == nullptr || raw.empty() || size > into.size()) throw Error(code::kInternal, "a raw frame does not fit its block");

  std::byte* at = into.data();
  store_le32(at, kMagic);
  at[4] = std::byte{kDescriptor};
  store_le32(at + 5, static_cast<std::uint32_t>(raw.size()));
  at += kFrameHeaderBytes;

  for (std::size_t begin = 0; begin < raw.size(); begin += kBlockMaximumBytes) {
    const std::size_t part = std::min(kBlockMaximumBytes, raw.size() - begin);
    const bool is_last = begin + part == raw.size();
    // Block_Header: Last_Block 1 bit, Block_Type 2 bits (0 is Raw_Block), Block_Size 21 bits.
    const auto header = static_cast<std::uint32_t>(part << 3 | (is_last ? 1 : 0));
    at[0] = static_cast<std::byte>(header);
    at[1] = static_cast<std::byte>(header >> 8);
    at[2] = static_cast<std::byte>(header >> 16);
    std::memcpy(at + kBlockHeaderBytes, from + begin, part);
    at += kBlockHeaderBytes + part;
  }
  store_le32(at, static_cast<std::uint32_t>(XXH64(from, raw.size(), 0)));
  return size;
}

}  // namespace dbbackup
