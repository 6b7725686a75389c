#include "pg/copy_reader.h"

#include <algorithm>
#include <cstring>

namespace dbbackup {

CopyReader::CopyReader(std::unique_ptr<CopyStream> stream, RowFormat format)
    : stream_(std::move(stream)), format_(format), is_header_due_(format == RowFormat::kBinary) {}

/// Steps to the next row, past binary header and trailer; false at the end.
bool CopyReader::next_row() {
  for (;;) {
    std::size_t length = 0;
    if (!stream_->next(length)) {
      is_ended_ = true;
      check_end();
      return false;
    }
    if (is_header_due_) {
      // The server sends the header in one message with the first row, or with the trailer.
      std::byte header[kBinaryHeaderBytes];
      if (length < kBinaryHeaderBytes) throw Error(code::kProtocolViolation, "binary COPY began without a header");
      stream_->read(header);
      if (std::memcmp(header, binary_header().data(), kBinaryHeaderBytes) != 0)
        throw Error(code::kProtocolViolation, "binary COPY has an unknown header");
      is_header_due_ = false;
      length -= kBinaryHeaderBytes;
      if (length == 0) continue;
    }
    if (is_trailer_seen_) throw Error(code::kProtocolViolation, "binary COPY went on after its trailer");
    row_left_ = length;
    has_row_ = true;
    return true;
  }
}

void CopyReader::check_end() const {
  if (format_ == RowFormat::kBinary && !is_trailer_seen_) throw Error(code::kProtocolViolation, "binary COPY ended without a trailer");
  if (row_count_ != stream_->row_count()) {
    throw Error(code::kProtocolViolation,
                "the server counted " + std::to_string(stream_->row_count()) + " rows, " + std::to_string(row_count_) + " arrived");
  }
}

/// A server sends one row a message; a proxy that cuts messages in another way must not make other rows of them.
void CopyReader::check_row(std::span<const std::byte> last_part) const {
  const bool is_row =
      format_ == RowFormat::kText ? !last_part.empty() && last_part.back() == std::byte{'\n'} : is_row_split_ || last_part.size() >= 2;
  if (!is_row) throw Error(code::kProtocolViolation, "the server sent a message that is no row");
}

bool CopyReader::read(Block& block, BlockFacts& facts) {
  facts = {};
  facts.begins_inside_row = is_row_split_;
  block.size = 0;
  while (!is_ended_) {
    if (!has_row_ && !next_row()) break;
    const std::size_t room = kBlockRawBytes - block.size;
    std::byte* const at = block.data() + block.size;

    if (row_left_ > room) {
      // A row that fits a block of its own waits for the next one; a larger one begins at a block's start and fills as many as it needs.
      if (block.size > 0) return true;
      if (!is_row_split_) hasher_.begin();
      stream_->read({at, room});
      hasher_.update({at, room});
      block.size += room;
      row_left_ -= room;
      is_row_split_ = true;
      facts.ends_inside_row = true;
      facts.row_bytes_left = row_left_;
      return true;
    }

    const std::size_t size = row_left_;
    if (const std::byte* const view = stream_->view(size)) {
      std::memcpy(at, view, size);
    } else {
      stream_->read({at, size});
    }
    has_row_ = false;
    check_row({at, size});
    if (is_row_split_) {
      hasher_.update({at, size});
      hasher_.finish(facts.digest);
      is_row_split_ = false;
    } else if (format_ == RowFormat::kBinary && size == kBinaryTrailerBytes && std::memcmp(at, binary_trailer().data(), size) == 0) {
      is_trailer_seen_ = true;
      continue;
    } else {
      facts.digest.add_row({at, size});
    }
    ++row_count_;
    block.size += size;
  }
  return block.size > 0;
}

}  // namespace dbbackup
