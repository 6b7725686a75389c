#include "codec/frame.h"

#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "memory/block_pool.h"

namespace dbbackup {

namespace {

constexpr std::size_t kHeaderBytes = 12;
/// A skippable frame of the zstd and lz4 frame formats: magic, size, content.
constexpr std::uint32_t kSkippableMagic = 0x184D2A5D;
constexpr std::size_t kSkippablePrefixBytes = 8 + kHeaderBytes;
/// A gzip member's head (RFC 1952, 2.3): fixed part with FLG.FEXTRA, XLEN, then one subfield `DB`.
constexpr unsigned char kGzipHead[16] = {0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 4 + kHeaderBytes, 0, 'D', 'B', kHeaderBytes, 0};
constexpr std::size_t kGzipPrefixBytes = sizeof kGzipHead + kHeaderBytes;

void store_header(const FrameHeader& header, std::byte* into) noexcept {
  store_le32(into, header.stored_bytes);
  store_le32(into + 4, header.raw_bytes);
  store_le32(into + 8, header.flags);
}

Error damaged(const char* what) { return Error(code::kDataDamaged, what); }

}  // namespace

std::size_t frame_prefix_bytes(Codec codec) noexcept {
  switch (codec) {
    case Codec::kZstd:
    case Codec::kLz4: return kSkippablePrefixBytes;
    case Codec::kGzip: return kGzipPrefixBytes;
    case Codec::kNone: return 0;
  }
  return 0;
}

void write_frame_prefix(Codec codec, const FrameHeader& header, std::byte* into) noexcept {
  if (codec == Codec::kNone) return;
  if (codec == Codec::kGzip) {
    std::memcpy(into, kGzipHead, sizeof kGzipHead);
    store_header(header, into + sizeof kGzipHead);
    return;
  }
  store_le32(into, kSkippableMagic);
  store_le32(into + 4, kHeaderBytes);
  store_header(header, into + 8);
}

FrameHeader read_frame_prefix(Codec codec, std::span<const std::byte> prefix) {
  const std::byte* at = prefix.data();
  std::size_t least_stored_bytes = 1;
  if (codec == Codec::kGzip) {
    if (std::memcmp(at, kGzipHead, sizeof kGzipHead) != 0) throw damaged("the frame has no header of ours");
    at += sizeof kGzipHead;
    least_stored_bytes = kGzipPrefixBytes;
  } else {
    if (load_le32(at) != kSkippableMagic || load_le32(at + 4) != kHeaderBytes) throw damaged("the frame has no header of ours");
    at += 8;
  }
  const FrameHeader header{load_le32(at), load_le32(at + 4), load_le32(at + 8)};
  if (header.raw_bytes > kBlockRawBytes || header.raw_bytes == 0) throw damaged("the frame's raw size is impossible");
  if (header.stored_bytes < least_stored_bytes || header.stored_bytes + kSkippablePrefixBytes > kBlockBytes)
    throw damaged("the frame's stored size is impossible");
  return header;
}

}  // namespace dbbackup
