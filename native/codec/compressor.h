#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/stop.h"
#include "codec/frame.h"
#include "codec/names.h"

namespace dbbackup {

/// Turns blocks into frames of one codec: `docs/format.md` section 4. Keeps its contexts between calls; used by one thread at a time.
class FrameEncoder {
 public:
  FrameEncoder();
  ~FrameEncoder();

  /// Writes a whole frame, prefix included, for 1 to kBlockRawBytes bytes of `raw` to `into` (at least kBlockBytes) and returns its size.
  /// Input that does not compress is stored in a frame of raw blocks.
  /// A stop ends what takes long, zstd at high levels, with `cancelled`; null: nothing stops it.
  std::size_t encode(Codec codec, int level, std::uint32_t flags, std::span<const std::byte> raw, std::span<std::byte> into,
                     const Stop* stop = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Turns frames back into blocks. Keeps its contexts between calls; used by one thread at a time.
class FrameDecoder {
 public:
  FrameDecoder();
  ~FrameDecoder();

  /// Decodes one frame. `frame` is what follows the prefix, for gzip the whole member. `into` has `header.raw_bytes` bytes and is filled.
  /// Throws `data_damaged`.
  void decode(Codec codec, const FrameHeader& header, std::span<const std::byte> frame, std::span<std::byte> into);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// True when `raw` is not worth compressing, judged by a few samples. Cost: about 20 µs per call.
bool is_incompressible(std::span<const std::byte> raw);

}  // namespace dbbackup
