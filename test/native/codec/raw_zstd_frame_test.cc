#include "codec/raw_zstd_frame.h"

#include <gtest/gtest.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "memory/block_pool.h"
#include "support/bytes.h"
#include "support/errors.h"
#include "support/random.h"

namespace dbbackup::test {

namespace {

constexpr std::size_t kBlock = std::size_t{128} << 10;

TEST(RawZstdFrame, IsWhatZstdDecodes) {
  Random random(31);
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{255}, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock, kBlockRawBytes - 1, kBlockRawBytes}) {
    const Bytes raw = random.bytes(size);
    Bytes frame(kBlockBytes);
    frame.resize(write_raw_zstd_frame(raw, frame));
    EXPECT_EQ(frame.size(), size + 9 + 3 * ((size + kBlock - 1) / kBlock) + 4);
    EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), size);
    EXPECT_EQ(ZSTD_findFrameCompressedSize(frame.data(), frame.size()), frame.size());
    ZSTD_frameHeader header;
    ASSERT_EQ(ZSTD_getFrameHeader(&header, frame.data(), frame.size()), 0u);
    EXPECT_EQ(header.checksumFlag, 1u);
    Bytes decoded(size);
    EXPECT_EQ(ZSTD_decompress(decoded.data(), decoded.size(), frame.data(), frame.size()), size);
    EXPECT_TRUE(decoded == raw) << size;
  }
}

TEST(RawZstdFrame, ItsChecksumCoversEveryByte) {
  Random random(32);
  const Bytes raw = random.bytes(64);
  Bytes frame(1000);
  frame.resize(write_raw_zstd_frame(raw, frame));
  Bytes decoded(raw.size());
  for (std::size_t at = 12; at < frame.size(); ++at) {
    frame[at] ^= std::byte{1};
    EXPECT_TRUE(ZSTD_isError(ZSTD_decompress(decoded.data(), decoded.size(), frame.data(), frame.size()))) << at;
    frame[at] ^= std::byte{1};
  }
}

TEST(RawZstdFrame, RefusesWhatDoesNotFit) {
  const Bytes raw(100);
  Bytes into(100 + 9 + 3 + 4);
  EXPECT_EQ(write_raw_zstd_frame(raw, into), into.size());
  EXPECT_EQ(code_of([&] { write_raw_zstd_frame(raw, std::span(into).first(into.size() - 1)); }), "internal");
  EXPECT_EQ(code_of([&] { write_raw_zstd_frame({}, into); }), "internal");
}

}  // namespace

}  // namespace dbbackup::test
