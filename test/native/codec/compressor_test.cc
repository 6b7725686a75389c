#include "codec/compressor.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "codec/samples.h"
#include "support/errors.h"

namespace dbbackup::test {

namespace {

TEST(Compressor, RoundTripsEverySampleWithEveryCodec) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  for (const Sample& sample : samples()) {
    for (const Codec codec : kCodecs) {
      for (const int level : {1, 6}) {
        const Bytes frame = encode(encoder, codec, level, 0, sample.bytes);
        EXPECT_LE(frame.size(), kBlockBytes);
        EXPECT_TRUE(decode(decoder, codec, frame) == sample.bytes) << name_of(codec) << ':' << level << ' ' << sample.name;
      }
    }
  }
}

TEST(Compressor, RoundTripsEverySampleAtSlowLevels) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  const Stop stop;
  for (const Sample& sample : samples()) {
    for (const int level : {12, 13, 19}) {
      const Bytes frame = encode(encoder, Codec::kZstd, level, 0, sample.bytes, &stop);
      EXPECT_LE(frame.size(), kBlockBytes);
      EXPECT_TRUE(decode(decoder, Codec::kZstd, frame) == sample.bytes) << level << ' ' << sample.name;
    }
    // Made in steps, a frame is no larger.
    EXPECT_LE(encode(encoder, Codec::kZstd, 19, 0, sample.bytes, &stop).size(),
              encode(encoder, Codec::kZstd, 19, 0, sample.bytes).size() + 64)
        << sample.name;
  }
}

TEST(Compressor, HeedsAStopWithinASlowBlock) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  const std::vector<Sample> all = samples();
  const auto text = std::ranges::find(all, "text of 1 MiB", &Sample::name);
  ASSERT_NE(text, all.end());
  // Time of the processor, so that other programs do not matter.
  clockid_t clock{};
  ASSERT_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
  const auto spent = [clock] {
    timespec now{};
    clock_gettime(clock, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
  };
  const auto started = spent();
  encode(encoder, Codec::kZstd, 22, 0, text->bytes);
  const auto whole = spent() - started;
  Stop stop;
  const auto again = spent();
  std::jthread other([&] {
    while (!stop.requested() && spent() - again < whole / 4) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    stop.request();
  });
  EXPECT_EQ(code_of([&] { encode(encoder, Codec::kZstd, 22, 0, text->bytes, &stop); }), code::kCancelled);
  EXPECT_LT(spent() - again, whole * 3 / 4);
  stop.request();
  other.join();
  // The encoder is none the worse for it.
  const Stop none;
  EXPECT_TRUE(decode(decoder, Codec::kZstd, encode(encoder, Codec::kZstd, 13, 0, text->bytes, &none)) == text->bytes);
  EXPECT_TRUE(decode(decoder, Codec::kZstd, encode(encoder, Codec::kZstd, 1, 0, text->bytes, &none)) == text->bytes);
}

TEST(Compressor, WritesSizesAndFlagsIntoTheHeader) {
  FrameEncoder encoder;
  const Bytes raw(5000, std::byte{'x'});
  for (const Codec codec : kFramedCodecs) {
    const Bytes frame = encode(encoder, codec, 1, 2, raw);
    const FrameHeader header = read_frame_prefix(codec, std::span(frame).first(frame_prefix_bytes(codec)));
    EXPECT_EQ(header.raw_bytes, raw.size());
    EXPECT_EQ(header.flags, 2u);
    EXPECT_EQ(header.stored_bytes, codec == Codec::kGzip ? frame.size() : frame.size() - frame_prefix_bytes(codec));
  }
}

TEST(Compressor, CompressesWhatCompresses) {
  FrameEncoder encoder;
  const std::vector<Sample> all = samples();
  for (const Sample& sample : all) {
    if (!sample.name.starts_with("text") && !sample.name.starts_with("zeros")) continue;
    for (const Codec codec : kFramedCodecs)
      EXPECT_LT(encode(encoder, codec, 1, 0, sample.bytes).size(), sample.bytes.size() / 2) << name_of(codec) << ' ' << sample.name;
  }
}

TEST(Compressor, NoiseGrowsByLessThanAThousandth) {
  FrameEncoder encoder;
  for (const Sample& sample : samples()) {
    if (!sample.name.starts_with("noise of 1")) continue;
    for (const Codec codec : kFramedCodecs) {
      EXPECT_LE(encode(encoder, codec, 1, 0, sample.bytes).size(), sample.bytes.size() + sample.bytes.size() / 1000 + 100)
          << name_of(codec) << ' ' << sample.name;
    }
  }
}

TEST(Compressor, TellsNoiseFromStructure) {
  Random random(21);
  for (int round = 0; round < 50; ++round) EXPECT_TRUE(is_incompressible(random.bytes(16384 + random.below(1000000))));
  EXPECT_FALSE(is_incompressible(random.bytes(16383))) << "too small to judge";
  EXPECT_FALSE(is_incompressible({}));
  for (const Sample& sample : samples()) {
    if (sample.name.starts_with("text") || sample.name.starts_with("zeros")) {
      EXPECT_FALSE(is_incompressible(sample.bytes)) << sample.name;
    }
  }
  // One bit a byte is missing, as in base64 or ASCII noise.
  Bytes seven_bits = random.bytes(1 << 20);
  for (std::byte& byte : seven_bits) byte &= std::byte{0x7f};
  EXPECT_FALSE(is_incompressible(seven_bits));
}

TEST(Compressor, AnEncoderCanChangeCodecAndLevel) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  Random random(22);
  const std::vector<Sample> all = samples();
  for (int round = 0; round < 60; ++round) {
    const Sample& sample = all[random.below(all.size())];
    const Codec codec = kCodecs[random.below(std::size(kCodecs))];
    EXPECT_TRUE(decode(decoder, codec, encode(encoder, codec, static_cast<int>(1 + random.below(6)), 0, sample.bytes)) == sample.bytes);
  }
}

// What no checksum inside the frame covers, so that a change decodes to the same bytes:
// - every codec: the four bytes of the flags. Verify compares them with the rows, and the file's checksum covers them.
// - zstd: the frame header descriptor's unused bit, and a descriptor that says the same in another way (RFC 8878, 3.1.1.1.1).
// - gzip: padding bits in front of a stored block and behind the last one.
// - in compressed blocks: bits that do not matter for what they decode to, for example another offset at which the same bytes stand.
TEST(Compressor, ADamagedFrameIsFoundOrHarmlessAtEveryByte) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  Random random(23);
  Bytes compressible;
  while (compressible.size() < 400) append(compressible, bytes_of(std::to_string(random.below(300)) + "\tname\t"));
  const Bytes noise = random.bytes(300);
  const std::map<Codec, std::set<std::size_t>> uncovered_in_noise = {
      {Codec::kZstd, {16, 17, 18, 19, 24}}, {Codec::kLz4, {16, 17, 18, 19}}, {Codec::kGzip, {24, 25, 26, 27, 28}}};
  for (const Codec codec : kFramedCodecs) {
    for (const Bytes& raw : {compressible, noise}) {
      const Bytes frame = encode(encoder, codec, 1, 1, raw);
      std::set<std::size_t> uncovered;
      for (std::size_t at = 0; at < frame.size(); ++at) {
        for (const unsigned value : {0x01u, 0x02u, 0x04u, 0x08u, 0x10u, 0x20u, 0x40u, 0x80u, 0x55u, 0xaau, 0xffu}) {
          Bytes damaged = frame;
          damaged[at] ^= static_cast<std::byte>(value);
          try {
            ASSERT_TRUE(decode(decoder, codec, damaged) == raw)
                << name_of(codec) << ": byte " << at << " changed by " << value << " decodes to other bytes";
            uncovered.insert(at);
          } catch (const Error& error) {
            ASSERT_STREQ(error.code(), "data_damaged") << name_of(codec) << ": byte " << at;
          }
        }
      }
      if (raw == noise) {
        EXPECT_EQ(uncovered, uncovered_in_noise.at(codec)) << name_of(codec);
      }
    }
  }
}

TEST(Compressor, ATruncatedFrameIsDamaged) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  Bytes raw(400, std::byte{'a'});
  append(raw, bytes_of("some text that is a little different"));
  for (const Codec codec : kFramedCodecs) {
    const Bytes frame = encode(encoder, codec, 1, 0, raw);
    const std::size_t prefix_bytes = frame_prefix_bytes(codec);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      EXPECT_EQ(code_of([&] { decode(decoder, codec, std::span(frame).first(size)); }), "data_damaged");
      if (size < prefix_bytes) continue;
      // Its header says what is there.
      Bytes shorter(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      const std::size_t stored = codec == Codec::kGzip ? size : size - prefix_bytes;
      write_frame_prefix(codec, {static_cast<std::uint32_t>(stored), static_cast<std::uint32_t>(raw.size()), 0}, shorter.data());
      EXPECT_EQ(code_of([&] { decode(decoder, codec, shorter); }), "data_damaged") << name_of(codec) << ' ' << size;
    }
  }
}

TEST(Compressor, AFrameOfAnotherSizeThanItsHeaderSaysIsDamaged) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  Bytes raw(1000, std::byte{'a'});
  raw.push_back(std::byte{'b'});
  for (const Codec codec : kFramedCodecs) {
    for (const std::size_t claimed : {raw.size() - 1, raw.size() + 1, std::size_t{1}, kBlockRawBytes}) {
      Bytes frame = encode(encoder, codec, 1, 0, raw);
      FrameHeader header = read_frame_prefix(codec, std::span(frame).first(frame_prefix_bytes(codec)));
      header.raw_bytes = static_cast<std::uint32_t>(claimed);
      write_frame_prefix(codec, header, frame.data());
      EXPECT_EQ(code_of([&] { decode(decoder, codec, frame); }), "data_damaged") << name_of(codec) << ' ' << claimed;
    }
    // Two frames where the header promises one.
    Bytes frame = encode(encoder, codec, 1, 0, raw);
    const std::size_t prefix_bytes = codec == Codec::kGzip ? 0 : frame_prefix_bytes(codec);
    const Bytes second(frame.begin() + static_cast<std::ptrdiff_t>(prefix_bytes), frame.end());
    FrameHeader header = read_frame_prefix(codec, std::span(frame).first(frame_prefix_bytes(codec)));
    append(frame, second);
    header.stored_bytes *= 2;
    write_frame_prefix(codec, header, frame.data());
    EXPECT_EQ(code_of([&] { decode(decoder, codec, frame); }), "data_damaged") << name_of(codec);
  }
}

TEST(Compressor, RandomAndMutatedFramesNeverCrash) {
  FrameEncoder encoder;
  FrameDecoder decoder;
  Random random(24);
  Bytes raw(3000, std::byte{'a'});
  append(raw, bytes_of("and so on"));
  for (int round = 0; round < 3000; ++round) {
    const Codec codec = kFramedCodecs[random.below(std::size(kFramedCodecs))];
    Bytes frame = encode(encoder, codec, 1, 0, raw);
    const std::size_t prefix_bytes = frame_prefix_bytes(codec);
    if (random.chance(30)) {
      const Bytes noise = random.bytes(frame.size() - prefix_bytes);
      std::copy(noise.begin(), noise.end(), frame.begin() + static_cast<std::ptrdiff_t>(prefix_bytes));
    } else {
      for (std::size_t change = 1 + random.below(8); change > 0; --change)
        frame[random.below(frame.size())] = static_cast<std::byte>(random.next());
    }
    try {
      EXPECT_TRUE(decode(decoder, codec, frame) == raw);
    } catch (const Error& error) {
      EXPECT_STREQ(error.code(), "data_damaged");
    }
  }
  // Damage leaves nothing behind in the decoder.
  for (const Codec codec : kFramedCodecs) EXPECT_TRUE(decode(decoder, codec, encode(encoder, codec, 1, 0, raw)) == raw);
}

}  // namespace

}  // namespace dbbackup::test
