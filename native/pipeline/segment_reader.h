#pragma once

#include <cstdint>
#include <span>

#include "base/stop.h"
#include "codec/compressor.h"
#include "codec/hasher.h"
#include "io/file_source.h"
#include "memory/block_pool.h"

namespace dbbackup {

/// Reads a segment frame by frame. Holds two blocks of the pool. One thread.
class SegmentReader {
 public:
  /// `hasher`, if not null, is fed every byte that is read.
  SegmentReader(FileSource& source, Codec codec, BlockPool& pool, const Stop& stop, Hasher* hasher);

  /// Begins the segment of `stored_bytes` at the source's position, which is `offset`.
  void begin(std::uint64_t offset, std::uint64_t stored_bytes);
  /// The next frame, decoded; empty at the end. Throws `data_damaged` (the frame's bytes are consumed as far as they could be read),
  /// io_error.
  std::span<const std::byte> next();
  /// Reads over the rest of the segment, for the hasher's sake.
  void skip_rest();

  /// Of the frame `next` returned or failed at: its index within the segment, its offset in the file, its header flags.
  std::int64_t frame_index() const noexcept { return frame_index_; }
  std::uint64_t frame_offset() const noexcept { return frame_offset_; }
  std::uint32_t frame_flags() const noexcept { return frame_flags_; }

 private:
  std::span<std::byte> take(std::uint64_t size);

  FileSource& source_;
  Codec codec_;
  const Stop& stop_;
  Hasher* hasher_;
  Block stored_, raw_;
  FrameDecoder decoder_;
  std::uint64_t left_ = 0;
  std::uint64_t offset_ = 0;
  std::int64_t frame_index_ = -1;
  std::uint64_t frame_offset_ = 0;
  std::uint32_t frame_flags_ = 0;
};

}  // namespace dbbackup
