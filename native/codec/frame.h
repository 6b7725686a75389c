#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/names.h"

namespace dbbackup {

/// Frame header of `docs/format.md` section 4.
struct FrameHeader {
  static constexpr std::uint32_t kBeginsInsideRow = 1;
  static constexpr std::uint32_t kEndsInsideRow = 2;

  std::uint32_t stored_bytes = 0;
  std::uint32_t raw_bytes = 0;
  std::uint32_t flags = 0;
};

/// Bytes a reader needs to learn a frame's size: the prefix of zstd and lz4 frames, or the head of a gzip member, which is part of the
/// member. 0 for `none`.
std::size_t frame_prefix_bytes(Codec codec) noexcept;

/// Writes the prefix at `into`.
void write_frame_prefix(Codec codec, const FrameHeader& header, std::byte* into) noexcept;

/// Reads a prefix. Throws `data_damaged` where it is none or its sizes are beyond what the format allows.
FrameHeader read_frame_prefix(Codec codec, std::span<const std::byte> prefix);

}  // namespace dbbackup
