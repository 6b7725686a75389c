#include "codec/hasher.h"

#include <gtest/gtest.h>

#include "support/child.h"
#include "support/errors.h"
#include "support/random.h"

namespace dbbackup::test {

namespace {

std::string tool_says(Checksum checksum, std::span<const std::byte> bytes) {
  const bool is_sha = checksum == Checksum::kSha256;
  const std::string line = text_of((is_sha ? run_child({"sha256sum"}, bytes) : run_child({"xxhsum", "-H2"}, bytes)).output);
  return line.substr(0, is_sha ? 64 : 32);
}

std::string hash_in_pieces(Checksum checksum, std::span<const std::byte> bytes, Random& random) {
  Hasher hasher(checksum);
  hasher.update({});
  while (!bytes.empty()) {
    const std::size_t size = 1 + random.below(bytes.size());
    hasher.update(bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return hasher.finish();
}

TEST(Hasher, SaysWhatTheStockToolsSay) {
  Random random(41);
  for (const Checksum checksum : {Checksum::kXxh3, Checksum::kSha256}) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{240}, std::size_t{241}, std::size_t{4096}, (std::size_t{1} << 20) + 7}) {
      const Bytes bytes = random.bytes(size);
      EXPECT_EQ(hash_in_pieces(checksum, bytes, random), tool_says(checksum, bytes)) << size << " bytes";
    }
  }
}

TEST(Hasher, CanBeMoved) {
  Hasher hasher(Checksum::kSha256);
  hasher.update(bytes_of("ab"));
  Hasher moved = std::move(hasher);
  moved.update(bytes_of("c"));
  EXPECT_EQ(moved.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Names, AreThoseOfTheManifest) {
  EXPECT_EQ(parse_codec("zstd"), Codec::kZstd);
  EXPECT_EQ(parse_codec("lz4"), Codec::kLz4);
  EXPECT_EQ(parse_codec("gzip"), Codec::kGzip);
  EXPECT_EQ(parse_codec("none"), Codec::kNone);
  EXPECT_EQ(parse_checksum("xxh3-128"), Checksum::kXxh3);
  EXPECT_EQ(parse_checksum("sha256"), Checksum::kSha256);
  EXPECT_EQ(code_of([] { parse_codec("zstandard"); }), "usage");
  EXPECT_EQ(code_of([] { parse_checksum(""); }), "usage");
}

}  // namespace

}  // namespace dbbackup::test
