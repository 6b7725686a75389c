#pragma once

#include <optional>

#include "base/row_digest.h"
#include "pg/row_format.h"
#include "support/bytes.h"
#include "support/random.h"

namespace dbbackup::test {

/// A COPY stream and the rows it is made of.
struct CopyData {
  RowFormat format = RowFormat::kText;
  std::vector<Bytes> rows;

  /// Header, rows and trailer as COPY sends them.
  Bytes stream() const;
  /// The rows alone.
  Bytes raw() const { return joined(rows); }
  /// Computed row by row, each hashed as a whole.
  RowDigest digest() const;
};

/// A row of binary COPY; a field that is nullopt is NULL.
Bytes binary_row(const std::vector<std::optional<Bytes>>& fields);

/// Rows with few or no columns, NULLs, empty and long fields, equal rows, bytes that look like lengths, trailers and newlines.
CopyData random_copy_data(Random& random, RowFormat format, std::size_t row_count, std::size_t longest_field = 40);

}  // namespace dbbackup::test
