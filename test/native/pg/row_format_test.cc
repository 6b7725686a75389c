#include "pg/row_format.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "support/copy_data.h"
#include "support/errors.h"

namespace dbbackup::test {

namespace {

constexpr RowFormat kFormats[] = {RowFormat::kText, RowFormat::kBinary};

using NextSize = std::function<std::size_t()>;

/// What a parser makes of a stream.
struct Parsed {
  std::string code = "none";
  RowDigest digest;
  std::uint64_t raw_bytes = 0;
  bool operator==(const Parsed&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Parsed& parsed) {
  return out << parsed.code << ", " << parsed.digest.rows << " rows, " << parsed.raw_bytes << " bytes, digest " << parsed.digest.hex();
}

Parsed parse(RowFormat format, std::span<const std::byte> stream, const NextSize& next_size) {
  Parsed parsed;
  parsed.code = code_of([&] {
    RowParser parser(format);
    while (!stream.empty()) {
      const std::size_t size = std::min(next_size(), stream.size());
      parser.feed(stream.first(size));
      stream = stream.subspan(size);
    }
    parser.finish();
    parsed.digest = parser.digest();
    parsed.raw_bytes = parser.raw_bytes();
  });
  return parsed;
}

Parsed parse_whole(RowFormat format, std::span<const std::byte> stream) {
  return parse(format, stream, [&] { return stream.size(); });
}

Parsed parse_split(RowFormat format, std::span<const std::byte> stream, std::size_t at) {
  bool is_first = true;
  return parse(format, stream, [&] { return std::exchange(is_first, false) ? at : stream.size(); });
}

/// Pieces of 0 to `most` bytes.
Parsed parse_random(RowFormat format, std::span<const std::byte> stream, Random& random, std::size_t most) {
  return parse(format, stream, [&] { return random.below(most + 1); });
}

Parsed expected(const CopyData& data) { return {"none", data.digest(), data.raw().size()}; }

TEST(RowParser, DigestsAWholeStreamRowByRow) {
  Random random(51);
  for (const RowFormat format : kFormats) {
    for (int round = 0; round < 300; ++round) {
      const CopyData data = random_copy_data(random, format, random.below(60), 1 + random.below(300));
      ASSERT_EQ(parse_whole(format, data.stream()), expected(data));
    }
  }
}

TEST(RowParser, GivesTheSameAtEverySplitPosition) {
  Random random(52);
  for (const RowFormat format : kFormats) {
    for (int round = 0; round < 25; ++round) {
      const CopyData data = random_copy_data(random, format, random.below(25), 30);
      const Bytes stream = data.stream();
      for (std::size_t at = 0; at <= stream.size(); ++at) ASSERT_EQ(parse_split(format, stream, at), expected(data)) << "split at " << at;
    }
  }
}

TEST(RowParser, GivesTheSameInRandomPieces) {
  Random random(53);
  for (const RowFormat format : kFormats) {
    for (int round = 0; round < 400; ++round) {
      const CopyData data = random_copy_data(random, format, random.below(40), 60);
      const Bytes stream = data.stream();
      ASSERT_EQ(parse(format, stream, [] { return std::size_t{1}; }), expected(data));
      ASSERT_EQ(parse_random(format, stream, random, 1), expected(data)) << "single bytes and empty pieces";
      ASSERT_EQ(parse_random(format, stream, random, 7), expected(data));
      ASSERT_EQ(parse_random(format, stream, random, stream.size()), expected(data));
    }
  }
}

TEST(RowParser, TakesEdgeCasesOfBinaryRows) {
  const CopyData data{RowFormat::kBinary,
                      {binary_row({}), binary_row({}), binary_row({std::nullopt}), binary_row({Bytes()}),
                       binary_row({Bytes(), std::nullopt, Bytes()}), binary_row({bytes_of("\xff\xff")}),
                       binary_row(std::vector<std::optional<Bytes>>(1664)), binary_row({Bytes(70000, std::byte{0xff})})}};
  const Bytes stream = data.stream();
  EXPECT_EQ(parse_whole(RowFormat::kBinary, stream), expected(data));
  EXPECT_EQ(parse(RowFormat::kBinary, stream, [] { return std::size_t{1}; }), expected(data));
  for (std::size_t at = 0; at < 100; ++at) EXPECT_EQ(parse_split(RowFormat::kBinary, stream, at), expected(data)) << at;
  const CopyData none{RowFormat::kBinary, {}};
  EXPECT_EQ(parse_whole(RowFormat::kBinary, none.stream()), (Parsed{"none", {}, 0}));
}

TEST(RowParser, TakesEdgeCasesOfTextRows) {
  const CopyData data{
      RowFormat::kText,
      {bytes_of("\n"), bytes_of("\n"), bytes_of("\\N\n"), bytes_of("\\.\n"), bytes_of({"a\0b\t\r\n", 6}), bytes_of("\\\\n\n")}};
  EXPECT_EQ(parse_whole(RowFormat::kText, data.stream()), expected(data));
  EXPECT_EQ(parse(RowFormat::kText, data.stream(), [] { return std::size_t{1}; }), expected(data));
  EXPECT_EQ(parse_whole(RowFormat::kText, {}), (Parsed{"none", {}, 0}));
}

TEST(RowParser, KnowsWhetherItIsInsideARow) {
  Random random(54);
  for (const RowFormat format : kFormats) {
    RowParser parser(format);
    if (format == RowFormat::kBinary) parser.feed(binary_header());
    EXPECT_FALSE(parser.is_inside_row());
    for (const Bytes& row : random_copy_data(random, format, 200, 50).rows) {
      // Of a binary row's two bytes of field count the first alone may be the trailer's.
      const std::size_t at = 2 + random.below(row.size());
      if (at < row.size()) {
        parser.feed(std::span(row).first(at));
        EXPECT_TRUE(parser.is_inside_row());
        parser.feed(std::span(row).subspan(at));
      } else {
        parser.feed(row);
      }
      EXPECT_FALSE(parser.is_inside_row());
    }
  }
}

TEST(RowParser, ATruncatedStreamIsDamaged) {
  Random random(55);
  const Bytes stream = random_copy_data(random, RowFormat::kBinary, 30, 20).stream();
  for (std::size_t size = 0; size < stream.size(); ++size) {
    EXPECT_EQ(parse_whole(RowFormat::kBinary, std::span(stream).first(size)).code, "data_damaged") << size;
    EXPECT_EQ(parse_random(RowFormat::kBinary, std::span(stream).first(size), random, 5).code, "data_damaged") << size;
  }
  const Bytes text = bytes_of("first\nsecond\nthird");
  EXPECT_EQ(parse_whole(RowFormat::kText, text).code, "data_damaged");
  EXPECT_EQ(parse(RowFormat::kText, text, [] { return std::size_t{1}; }).code, "data_damaged");
}

TEST(RowParser, RefusesWhatIsNoCopyStream) {
  const Bytes header(binary_header().begin(), binary_header().end());
  const Bytes trailer(binary_trailer().begin(), binary_trailer().end());
  const auto code_for = [](const std::vector<Bytes>& parts) {
    const Bytes stream = joined(parts);
    const std::string code = parse_whole(RowFormat::kBinary, stream).code;
    for (std::size_t at = 0; at < stream.size(); ++at) EXPECT_EQ(parse_split(RowFormat::kBinary, stream, at).code, code) << at;
    return code;
  };
  EXPECT_EQ(code_for({header, trailer}), "none");
  EXPECT_EQ(code_for({header, trailer, {std::byte{0}}}), "data_damaged");
  EXPECT_EQ(code_for({header, trailer, trailer}), "data_damaged");
  EXPECT_EQ(code_for({header, header, trailer}), "data_damaged");
  EXPECT_EQ(code_for({trailer}), "data_damaged");
  EXPECT_EQ(code_for({bytes_of("1\tname\n")}), "data_damaged");
  EXPECT_EQ(code_for({header, bytes_of({"\x06\x81", 2}), trailer}), "data_damaged") << "1665 columns";
  EXPECT_EQ(code_for({header, bytes_of({"\0\1\xff\xff\xff\xfe", 6}), trailer}), "data_damaged") << "length -2";
  EXPECT_EQ(code_for({header, bytes_of({"\0\1\x80\0\0\0", 6}), trailer}), "data_damaged") << "length -2^31";
  EXPECT_EQ(code_for({header, bytes_of({"\0\1\x7f\xff\xff\xff", 6}), trailer}), "data_damaged") << "a length beyond the stream";
  for (std::size_t at = 0; at < header.size(); ++at) {
    Bytes wrong = header;
    wrong[at] ^= std::byte{1};
    EXPECT_EQ(code_for({wrong, trailer}), "data_damaged") << "byte " << at << " of the header";
  }
}

TEST(RowParser, RandomInputIsDamagedOrTakenAlikeInAnyPieces) {
  Random random(56);
  int taken = 0;
  for (int round = 0; round < 10000; ++round) {
    const RowFormat format = kFormats[random.below(2)];
    Bytes stream;
    if (random.chance(40)) {
      stream = random.bytes(random.below(200));
      if (format == RowFormat::kBinary && random.chance(80)) stream.insert(stream.begin(), binary_header().begin(), binary_header().end());
      for (std::byte& byte : stream) {
        if (random.chance(40)) byte = random.chance(50) ? std::byte{0} : std::byte{0xff};
      }
    } else {
      stream = random_copy_data(random, format, random.below(6), 20).stream();
      for (std::size_t change = random.below(3); change > 0 && !stream.empty(); --change)
        stream[random.below(stream.size())] = static_cast<std::byte>(random.next());
    }
    const Parsed whole = parse_whole(format, stream);
    ASSERT_TRUE(whole.code == "none" || whole.code == "data_damaged") << whole.code;
    ASSERT_EQ(parse_random(format, stream, random, 1 + random.below(20)), whole);
    if (whole.code == "none") ++taken;
  }
  EXPECT_GT(taken, 1500);
}

TEST(RowParser, KnowsItsFormats) {
  EXPECT_EQ(parse_row_format("binary"), RowFormat::kBinary);
  EXPECT_EQ(parse_row_format("text"), RowFormat::kText);
  EXPECT_EQ(code_of([] { parse_row_format("csv"); }), "usage");
  EXPECT_EQ(text_of(binary_header()), std::string("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19));
  EXPECT_EQ(text_of(binary_trailer()), "\xff\xff");
}

}  // namespace

}  // namespace dbbackup::test
