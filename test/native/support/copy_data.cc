#include "support/copy_data.h"

#include <algorithm>
#include <optional>

namespace dbbackup::test {

namespace {

Bytes random_value(Random& random, std::size_t longest) {
  const std::size_t size = random.chance(20) ? 0 : random.below(longest + 1);
  Bytes value = random.bytes(size);
  // The bytes lengths and trailers are made of.
  if (random.chance(30)) {
    for (std::byte& byte : value) byte = random.chance(50) ? std::byte{0xff} : std::byte{0};
  }
  return value;
}

Bytes random_text_row(Random& random, std::size_t longest_field) {
  Bytes row;
  const std::size_t columns = random.below(5);
  for (std::size_t column = 0; column < columns; ++column) {
    if (column > 0) row.push_back(std::byte{'\t'});
    if (random.chance(15)) {
      append(row, bytes_of("\\N"));
      continue;
    }
    // COPY escapes newlines; every other byte may stand for itself.
    Bytes value = random_value(random, longest_field);
    std::replace(value.begin(), value.end(), std::byte{'\n'}, std::byte{'\\'});
    append(row, value);
  }
  row.push_back(std::byte{'\n'});
  return row;
}

Bytes random_binary_row(Random& random, std::size_t longest_field) {
  std::vector<std::optional<Bytes>> fields(random.below(6));
  for (auto& field : fields) {
    if (!random.chance(20)) field = random_value(random, longest_field);
  }
  return binary_row(fields);
}

}  // namespace

Bytes CopyData::stream() const {
  if (format == RowFormat::kText) return raw();
  Bytes stream(binary_header().begin(), binary_header().end());
  append(stream, raw());
  append(stream, binary_trailer());
  return stream;
}

RowDigest CopyData::digest() const {
  RowDigest digest;
  for (const Bytes& row : rows) digest.add_row(row);
  return digest;
}

Bytes binary_row(const std::vector<std::optional<Bytes>>& fields) {
  Bytes row;
  append_be16(row, static_cast<std::uint16_t>(fields.size()));
  for (const std::optional<Bytes>& field : fields) {
    append_be32(row, field ? static_cast<std::uint32_t>(field->size()) : 0xffffffff);
    if (field) append(row, *field);
  }
  return row;
}

CopyData random_copy_data(Random& random, RowFormat format, std::size_t row_count, std::size_t longest_field) {
  CopyData data{format, {}};
  while (data.rows.size() < row_count) {
    if (!data.rows.empty() && random.chance(10)) {
      data.rows.push_back(data.rows[random.below(data.rows.size())]);
    } else {
      data.rows.push_back(format == RowFormat::kText ? random_text_row(random, longest_field) : random_binary_row(random, longest_field));
    }
  }
  return data;
}

}  // namespace dbbackup::test
