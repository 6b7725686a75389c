#include "pipeline/segment_reader.h"

#include <algorithm>

#include "base/error.h"

namespace dbbackup {

SegmentReader::SegmentReader(FileSource& source, Codec codec, BlockPool& pool, const Stop& stop, Hasher* hasher)
    : source_(source), codec_(codec), stop_(stop), hasher_(hasher), stored_(pool.acquire(stop.token())), raw_(pool.acquire(stop.token())) {}

void SegmentReader::begin(std::uint64_t offset, std::uint64_t stored_bytes) {
  offset_ = offset;
  left_ = stored_bytes;
  frame_index_ = -1;
}

/// Reads the next `size` bytes behind what `stored_` holds already.
std::span<std::byte> SegmentReader::take(std::uint64_t size) {
  if (size > left_) throw Error(code::kDataDamaged, "a frame reaches beyond its segment");
  const std::span<std::byte> into = stored_.room().first(static_cast<std::size_t>(size));
  source_.read_exactly(into);
  if (hasher_ != nullptr) hasher_->update(into);
  stored_.size += into.size();
  left_ -= size;
  offset_ += size;
  return into;
}

std::span<const std::byte> SegmentReader::next() {
  stop_.check();
  if (left_ == 0) return {};
  stored_.size = 0;
  ++frame_index_;
  frame_offset_ = offset_;
  frame_flags_ = 0;
  if (codec_ == Codec::kNone) return take(std::min<std::uint64_t>(left_, kBlockRawBytes));

  const std::size_t prefix_bytes = frame_prefix_bytes(codec_);
  const FrameHeader header = read_frame_prefix(codec_, take(prefix_bytes));
  frame_flags_ = header.flags;
  // For gzip the prefix is part of the member, and counts.
  const std::size_t prefix_in_frame = codec_ == Codec::kGzip ? prefix_bytes : 0;
  take(header.stored_bytes - prefix_in_frame);
  const std::span<const std::byte> frame = stored_.bytes().subspan(prefix_bytes - prefix_in_frame);
  raw_.size = header.raw_bytes;
  decoder_.decode(codec_, header, frame, {raw_.data(), raw_.size});
  return raw_.bytes();
}

void SegmentReader::skip_rest() {
  while (left_ > 0) {
    stop_.check();
    stored_.size = 0;
    take(std::min<std::uint64_t>(left_, kBlockRawBytes));
  }
}

}  // namespace dbbackup
