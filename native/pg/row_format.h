#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/row_digest.h"

namespace dbbackup {

enum class RowFormat { kBinary, kText };

/// Throws `usage` for a name that is neither `binary` nor `text`.
RowFormat parse_row_format(std::string_view name);

/// COPY's binary header (signature, flags 0, no extension) and trailer: PostgreSQL manual, COPY, "Binary Format".
inline constexpr std::size_t kBinaryHeaderBytes = 19;
inline constexpr std::size_t kBinaryTrailerBytes = 2;
std::span<const std::byte> binary_header() noexcept;
std::span<const std::byte> binary_trailer() noexcept;

/// Finds row ends in a COPY stream that arrives in arbitrary pieces, and digests the rows. A streaming state machine: a row of any size
/// passes in constant memory.
class RowParser {
 public:
  explicit RowParser(RowFormat format);

  /// Takes the next piece of the stream, header and trailer included. Throws `data_damaged` where the bytes are not a COPY stream.
  void feed(std::span<const std::byte> piece);
  /// Call at the end of the stream. Throws `data_damaged` when it ended inside a row, or without the binary trailer.
  void finish();

  const RowDigest& digest() const noexcept { return digest_; }
  /// True when the bytes fed so far end inside a row.
  bool is_inside_row() const noexcept { return is_row_open_; }
  /// Bytes of rows so far, without header and trailer.
  std::uint64_t raw_bytes() const noexcept { return raw_bytes_; }

 private:
  enum class State { kHeader, kFieldCount, kFieldLength, kFieldData, kEnd };
  void feed_text(std::span<const std::byte> piece);
  void feed_binary(std::span<const std::byte> piece);
  void end_row(const std::byte* row_begin, const std::byte* row_end);

  RowFormat format_;
  State state_;
  RowDigest digest_;
  RowHasher hasher_;
  /// True when the current row began in an earlier piece, so that `hasher_` holds its first part.
  bool is_row_open_ = false;
  std::uint64_t raw_bytes_ = 0;
  /// Bytes of a header or length that is split over pieces.
  std::byte partial_[kBinaryHeaderBytes];
  std::size_t partial_size_ = 0;
  std::uint32_t fields_left_ = 0;
  std::uint64_t data_left_ = 0;
};

}  // namespace dbbackup
