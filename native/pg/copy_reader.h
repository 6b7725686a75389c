#pragma once

#include <memory>

#include "base/row_digest.h"
#include "memory/block_pool.h"
#include "pg/row_format.h"
#include "pg/wire.h"

namespace dbbackup {

/// What a block read by CopyReader holds, besides its bytes.
struct BlockFacts {
  /// Rows that end in this block, and their hashes.
  RowDigest digest;
  /// The block begins, or ends, inside a row: only in a row larger than a block.
  bool begins_inside_row = false;
  bool ends_inside_row = false;
  /// Of the row it ends inside of: bytes that follow in later blocks.
  std::size_t row_bytes_left = 0;
};

/// Reads the rows of one COPY TO STDOUT into blocks of at most kBlockRawBytes that end at row ends, except inside a row larger than a
/// block. Binary header and trailer are checked and left out. One thread.
class CopyReader {
 public:
  /// `stream` has just been started.
  CopyReader(std::unique_ptr<CopyStream> stream, RowFormat format);

  /// Fills an empty block. False, with the block empty, at the end of the COPY. Throws the server's error, protocol_violation,
  /// connection_lost or cancelled.
  bool read(Block& block, BlockFacts& facts);

 private:
  bool next_row();
  void check_row(std::span<const std::byte> last_part) const;
  void check_end() const;

  std::unique_ptr<CopyStream> stream_;
  RowFormat format_;
  bool is_header_due_;
  bool is_trailer_seen_ = false;
  bool is_ended_ = false;
  /// Bytes of the announced row not read yet; valid while `has_row_`.
  std::size_t row_left_ = 0;
  bool has_row_ = false;
  /// The first part of the row stands in an earlier block.
  bool is_row_split_ = false;
  RowHasher hasher_;
  std::uint64_t row_count_ = 0;
};

}  // namespace dbbackup
