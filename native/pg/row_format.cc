#include "pg/row_format.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace dbbackup {

namespace {

constexpr unsigned char kHeader[kBinaryHeaderBytes] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0};
constexpr unsigned char kTrailer[kBinaryTrailerBytes] = {0xff, 0xff};
constexpr std::uint16_t kTrailerCount = 0xffff;
constexpr std::uint32_t kNullLength = 0xffffffff;

Error damaged(const char* what) { return Error(code::kDataDamaged, std::string("not a COPY stream: ") + what); }

}  // namespace

RowFormat parse_row_format(std::string_view name) {
  if (name == "binary") return RowFormat::kBinary;
  if (name == "text") return RowFormat::kText;
  throw Error(code::kUsage, "unknown COPY format " + std::string(name));
}

std::span<const std::byte> binary_header() noexcept { return std::as_bytes(std::span(kHeader)); }
std::span<const std::byte> binary_trailer() noexcept { return std::as_bytes(std::span(kTrailer)); }

RowParser::RowParser(RowFormat format) : format_(format), state_(format == RowFormat::kBinary ? State::kHeader : State::kFieldCount) {}

void RowParser::feed(std::span<const std::byte> piece) {
  if (format_ == RowFormat::kText) {
    feed_text(piece);
  } else {
    feed_binary(piece);
  }
}

void RowParser::end_row(const std::byte* row_begin, const std::byte* row_end) {
  const std::span<const std::byte> row(row_begin, row_end);
  raw_bytes_ += row.size();
  if (is_row_open_) {
    hasher_.update(row);
    hasher_.finish(digest_);
    is_row_open_ = false;
  } else {
    digest_.add_row(row);
  }
}

void RowParser::feed_text(std::span<const std::byte> piece) {
  const std::byte* at = piece.data();
  const std::byte* const end = at + piece.size();
  while (at != end) {
    // A newline inside a value is written as `\n`, so a raw one always ends a row (PostgreSQL manual, COPY, "Text Format").
    const void* newline = std::memchr(at, '\n', static_cast<std::size_t>(end - at));
    if (newline == nullptr) {
      if (!is_row_open_) hasher_.begin();
      is_row_open_ = true;
      hasher_.update({at, end});
      raw_bytes_ += static_cast<std::uint64_t>(end - at);
      return;
    }
    const std::byte* const row_end = static_cast<const std::byte*>(newline) + 1;
    end_row(at, row_end);
    at = row_end;
  }
}

void RowParser::feed_binary(std::span<const std::byte> piece) {
  const std::byte* at = piece.data();
  const std::byte* const end = at + piece.size();
  // Where the current row's bytes begin in this piece.
  const std::byte* row = at;

  // Gathers `size` bytes that may be split over pieces; null when the piece ends before.
  const auto take = [&](std::size_t size) -> const std::byte* {
    if (partial_size_ == 0 && static_cast<std::size_t>(end - at) >= size) {
      const std::byte* const taken = at;
      at += size;
      return taken;
    }
    const std::size_t part = std::min(size - partial_size_, static_cast<std::size_t>(end - at));
    std::memcpy(partial_ + partial_size_, at, part);
    partial_size_ += part;
    at += part;
    if (partial_size_ < size) return nullptr;
    partial_size_ = 0;
    return partial_;
  };

  while (at != end) {
    switch (state_) {
      case State::kHeader: {
        const std::byte* const header = take(kBinaryHeaderBytes);
        if (header == nullptr) return;
        if (std::memcmp(header, kHeader, kBinaryHeaderBytes) != 0) throw damaged("the binary header is wrong");
        state_ = State::kFieldCount;
        row = at;
        break;
      }
      case State::kFieldCount: {
        const std::byte* const field_count = take(2);
        if (field_count == nullptr) break;
        const std::uint16_t count = load_be16(field_count);
        if (count == kTrailerCount) {
          state_ = State::kEnd;
          // The trailer is no row, but its first byte may have been taken for the beginning of one.
          is_row_open_ = false;
          row = at;
          break;
        }
        if (count > 1664) throw damaged("a row has more columns than PostgreSQL allows");
        if (!is_row_open_ && field_count == partial_) {
          // Split count: its first byte stands in an earlier piece and is not hashed yet.
          hasher_.begin();
          hasher_.update({partial_, 1});
          raw_bytes_ += 1;
          is_row_open_ = true;
          row = at - 1;
        }
        fields_left_ = count;
        if (count == 0) {
          end_row(row, at);
          row = at;
        } else {
          state_ = State::kFieldLength;
        }
        break;
      }
      case State::kFieldLength: {
        const std::byte* const length = take(4);
        if (length == nullptr) break;
        const std::uint32_t bytes = load_be32(length);
        if (bytes != kNullLength && bytes > 0x7fffffff) throw damaged("a field has a negative length");
        data_left_ = bytes == kNullLength ? 0 : bytes;
        --fields_left_;
        state_ = State::kFieldData;
        break;
      }
      case State::kFieldData: break;
      case State::kEnd: throw damaged("bytes follow the trailer");
    }
    if (state_ == State::kFieldData) {
      const std::size_t part = std::min<std::uint64_t>(data_left_, static_cast<std::uint64_t>(end - at));
      at += part;
      data_left_ -= part;
      if (data_left_ > 0) break;
      if (fields_left_ > 0) {
        state_ = State::kFieldLength;
      } else {
        state_ = State::kFieldCount;
        end_row(row, at);
        row = at;
      }
    }
  }

  if (state_ == State::kHeader || state_ == State::kEnd) return;
  // A field count split at its first byte waits in `partial_`: whether a row begins here is known only with its second byte.
  if (state_ == State::kFieldCount && row + partial_size_ == end) return;
  if (row == end) return;
  if (!is_row_open_) hasher_.begin();
  is_row_open_ = true;
  hasher_.update({row, end});
  raw_bytes_ += static_cast<std::uint64_t>(end - row);
}

void RowParser::finish() {
  if (is_row_open_ || partial_size_ > 0) throw damaged("it ends inside a row");
  if (format_ == RowFormat::kBinary && state_ != State::kEnd) throw damaged("the binary trailer is missing");
}

}  // namespace dbbackup
