#include "codec/frame.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "codec/samples.h"
#include "support/errors.h"

namespace dbbackup::test {

namespace {

Bytes prefix_of(Codec codec, const FrameHeader& header) {
  Bytes prefix(frame_prefix_bytes(codec));
  write_frame_prefix(codec, header, prefix.data());
  return prefix;
}

TEST(Frame, PrefixesAreAsTheFormatSays) {
  const FrameHeader header{0x01020304 & 0xffff, 0x00010203, 3};
  const char fields[] = "\x04\x03\0\0\x03\x02\x01\0\x03\0\0";
  const Bytes expected_fields = bytes_of({fields, 12});
  const Bytes skippable = joined({bytes_of({"\x5d\x2a\x4d\x18\x0c\0\0\0", 8}), expected_fields});
  EXPECT_EQ(prefix_of(Codec::kZstd, header), skippable);
  EXPECT_EQ(prefix_of(Codec::kLz4, header), skippable);
  EXPECT_EQ(prefix_of(Codec::kGzip, header), joined({bytes_of({"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x10\0DB\x0c\0", 16}), expected_fields}));
  EXPECT_EQ(frame_prefix_bytes(Codec::kNone), 0u);
}

TEST(Frame, ReadsWhatItWrote) {
  Random random(12);
  for (const Codec codec : kFramedCodecs) {
    for (int round = 0; round < 200; ++round) {
      const FrameHeader header{static_cast<std::uint32_t>(100 + random.below(kBlockRawBytes)),
                               static_cast<std::uint32_t>(1 + random.below(kBlockRawBytes)), static_cast<std::uint32_t>(random.below(4))};
      const FrameHeader found = read_frame_prefix(codec, prefix_of(codec, header));
      EXPECT_EQ(found.stored_bytes, header.stored_bytes);
      EXPECT_EQ(found.raw_bytes, header.raw_bytes);
      EXPECT_EQ(found.flags, header.flags);
    }
  }
}

TEST(Frame, RefusesImpossibleSizes) {
  constexpr std::uint32_t kMostRaw = kBlockRawBytes;
  for (const Codec codec : kFramedCodecs) {
    const auto code_for = [&](std::uint32_t stored, std::uint32_t raw) {
      return code_of([&] { read_frame_prefix(codec, prefix_of(codec, {stored, raw, 0})); });
    };
    EXPECT_EQ(code_for(1000, kMostRaw), "none");
    EXPECT_EQ(code_for(1000, kMostRaw + 1), "data_damaged");
    EXPECT_EQ(code_for(1000, 0), "data_damaged");
    EXPECT_EQ(code_for(1000, 0xffffffff), "data_damaged");
    EXPECT_EQ(code_for(0, 1000), "data_damaged");
    EXPECT_EQ(code_for(kBlockBytes - 20, 1000), "none");
    EXPECT_EQ(code_for(kBlockBytes + 1, 1000), "data_damaged");
    EXPECT_EQ(code_for(0xffffffff, 1000), "data_damaged");
    EXPECT_EQ(code_for(0xfffffff0, 1000), "data_damaged");
  }
  // A gzip member's size counts its head.
  EXPECT_EQ(code_of([&] { read_frame_prefix(Codec::kGzip, prefix_of(Codec::kGzip, {27, 1, 0})); }), "data_damaged");
}

TEST(Frame, RefusesAnotherMagic) {
  for (const Codec codec : kFramedCodecs) {
    const Bytes prefix = prefix_of(codec, {1000, 1000, 0});
    for (std::size_t at = 0; at < prefix.size() - 12; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        Bytes damaged = prefix;
        damaged[at] ^= std::byte{1} << bit;
        EXPECT_EQ(code_of([&] { read_frame_prefix(codec, damaged); }), "data_damaged") << name_of(codec) << " byte " << at;
      }
    }
  }
}

TEST(Frame, RandomPrefixesAreRefusedOrWithinBounds) {
  Random random(13);
  for (int round = 0; round < 4000; ++round) {
    for (const Codec codec : kFramedCodecs) {
      Bytes prefix = prefix_of(codec, {1000, 1000, 0});
      const Bytes noise = random.bytes(12);
      std::copy(noise.begin(), noise.end(), prefix.end() - 12);
      if (random.chance(50)) prefix[prefix.size() - 9] = prefix[prefix.size() - 5] = {};
      try {
        const FrameHeader header = read_frame_prefix(codec, prefix);
        EXPECT_LE(header.raw_bytes, kBlockRawBytes);
        EXPECT_LE(header.stored_bytes + prefix.size() - (codec == Codec::kGzip ? prefix.size() : 0), kBlockBytes);
      } catch (const Error& error) {
        EXPECT_STREQ(error.code(), "data_damaged");
      }
    }
  }
}

}  // namespace

}  // namespace dbbackup::test
