#include "base/row_digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "support/bytes.h"
#include "support/child.h"
#include "support/random.h"

namespace dbbackup::test {

namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

/// 32 hexadecimal digits → digest without rows.
RowDigest parse_hex(const std::string& hex) {
  return {0, std::stoull(hex.substr(16), nullptr, 16), std::stoull(hex.substr(0, 16), nullptr, 16)};
}

TEST(RowDigest, IsZeroForNoRows) {
  EXPECT_EQ(RowDigest().rows, 0u);
  EXPECT_EQ(RowDigest().hex(), "00000000000000000000000000000000");
}

TEST(RowDigest, HashesARowAsTheStockToolDoes) {
  Random random(1);
  for (const std::size_t size : {0, 1, 3, 16, 17, 128, 129, 240, 241, 1024, 5000}) {
    const Bytes row = random.bytes(size);
    RowDigest digest;
    digest.add_row(row);
    EXPECT_EQ(text_of(run_child({"xxhsum", "-H2"}, row).output).substr(0, 32), digest.hex()) << size << " bytes";
  }
}

TEST(RowDigest, CarriesFromTheLowIntoTheHighHalf) {
  RowDigest digest;
  digest.add_hash(kMost, 0);
  digest.add_hash(1, 0);
  EXPECT_EQ(digest, (RowDigest{2, 0, 1}));
  digest.add_hash(kMost, 2);
  digest.add_hash(kMost, 3);
  EXPECT_EQ(digest, (RowDigest{4, kMost - 1, 7}));
}

TEST(RowDigest, IsModulo128Bits) {
  RowDigest digest{1, kMost, kMost};
  digest.add_hash(1, 0);
  EXPECT_EQ(digest, (RowDigest{2, 0, 0}));
  RowDigest sum{1, kMost, kMost};
  sum.add({1, kMost, kMost});
  EXPECT_EQ(sum, (RowDigest{2, kMost - 1, kMost}));
}

TEST(RowDigest, WritesTheHighHalfFirst) {
  const RowDigest digest{1, 0x0123456789abcdef, 0xfedcba9876543210};
  EXPECT_EQ(digest.hex(), "fedcba98765432100123456789abcdef");
  EXPECT_EQ((RowDigest{1, 1, 0}).hex(), "00000000000000000000000000000001");
  EXPECT_EQ(parse_hex(digest.hex()), (RowDigest{0, digest.low, digest.high}));
}

TEST(RowDigest, IsIndependentOfOrderAndGrouping) {
  Random random(2);
  std::vector<Bytes> rows;
  for (int row = 0; row < 200; ++row) rows.push_back(random.bytes(random.below(60)));
  RowDigest all;
  for (const Bytes& row : rows) all.add_row(row);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t at = rows.size() - 1; at > 0; --at) std::swap(rows[at], rows[random.below(at + 1)]);
    std::vector<RowDigest> groups(1 + random.below(7));
    for (const Bytes& row : rows) groups[random.below(groups.size())].add_row(row);
    RowDigest sum;
    for (const RowDigest& group : groups) sum.add(group);
    EXPECT_EQ(sum, all);
  }
}

TEST(RowDigest, EqualRowsDoNotCancel) {
  RowDigest none, two;
  two.add_row(bytes_of("row"));
  two.add_row(bytes_of("row"));
  EXPECT_NE(two.hex(), none.hex());
  EXPECT_EQ(two.rows, 2u);
}

TEST(RowHasher, GivesTheSameInAnyPieces) {
  Random random(3);
  RowHasher hasher;
  for (int round = 0; round < 200; ++round) {
    const Bytes row = random.bytes(random.below(2000));
    RowDigest whole, pieces;
    whole.add_row(row);
    hasher.begin();
    for (std::span<const std::byte> left(row); !left.empty();) {
      const std::size_t size = 1 + random.below(left.size());
      hasher.update(left.first(size));
      left = left.subspan(size);
    }
    hasher.finish(pieces);
    EXPECT_EQ(pieces, whole);
  }
}

}  // namespace

}  // namespace dbbackup::test
