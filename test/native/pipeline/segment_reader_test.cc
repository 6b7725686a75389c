#include "pipeline/segment_reader.h"

#include <gtest/gtest.h>

#include "codec/samples.h"
#include "support/errors.h"
#include "support/temporary_directory.h"

namespace dbbackup::test {

namespace {

class SegmentReaderTest : public testing::TestWithParam<Codec> {
 protected:
  /// A file with `frame_count` frames behind 7 other bytes; remembers where they are.
  void write_frames(int frame_count) {
    Random random(111);
    file_ = bytes_of("another");
    FrameEncoder encoder;
    for (int frame = 0; frame < frame_count; ++frame) {
      blocks_.push_back(random.chance(50) ? random.bytes(1 + random.below(30000))
                                          : Bytes(1 + random.below(kBlockRawBytes), std::byte{'y'}));
      offsets_.push_back(file_.size());
      append(file_, encode(encoder, GetParam(), 1, frame % 4, blocks_.back()));
    }
    write_file(path_, file_);
  }
  std::uint64_t stored_bytes() const { return file_.size() - 7; }
  bool has_frames() const { return GetParam() != Codec::kNone; }

  TemporaryDirectory directory_;
  std::string path_ = directory_.file("f");
  Bytes file_;
  std::vector<Bytes> blocks_;
  std::vector<std::size_t> offsets_;
  BlockPool pool_{2};
  Stop stop_;
};

TEST_P(SegmentReaderTest, GivesTheFramesInOrder) {
  write_frames(12);
  FileSource source(path_);
  Hasher hasher(Checksum::kXxh3);
  SegmentReader reader(source, GetParam(), pool_, stop_, &hasher);
  reader.begin(0, 7);
  reader.skip_rest();
  reader.begin(7, stored_bytes());
  Bytes all;
  std::int64_t frame = 0;
  for (std::span<const std::byte> raw = reader.next(); !raw.empty(); raw = reader.next(), ++frame) {
    append(all, raw);
    EXPECT_EQ(reader.frame_index(), frame);
    if (!has_frames()) continue;
    EXPECT_EQ(reader.frame_offset(), offsets_[static_cast<std::size_t>(frame)]);
    EXPECT_EQ(reader.frame_flags(), static_cast<std::uint32_t>(frame % 4));
    EXPECT_TRUE(equal(raw, blocks_[static_cast<std::size_t>(frame)]));
  }
  EXPECT_TRUE(all == joined(blocks_));
  EXPECT_TRUE(reader.next().empty());
  Hasher whole(Checksum::kXxh3);
  whole.update(file_);
  EXPECT_EQ(hasher.finish(), whole.finish());
}

TEST_P(SegmentReaderTest, AnEmptySegmentHasNoFrames) {
  write_frames(1);
  FileSource source(path_);
  SegmentReader reader(source, GetParam(), pool_, stop_, nullptr);
  reader.begin(0, 0);
  EXPECT_TRUE(reader.next().empty());
}

TEST_P(SegmentReaderTest, GoesOnBehindADamagedFrame) {
  if (!has_frames()) return;  // This codec has no frames.
  write_frames(6);
  file_[offsets_[2] + frame_prefix_bytes(GetParam()) + 3] ^= std::byte{0x55};
  write_file(path_, file_);
  FileSource source(path_);
  Hasher hasher(Checksum::kSha256);
  SegmentReader reader(source, GetParam(), pool_, stop_, &hasher);
  reader.begin(0, 7);
  reader.skip_rest();
  reader.begin(7, stored_bytes());
  reader.next();
  reader.next();
  EXPECT_EQ(code_of([&] { reader.next(); }), "data_damaged");
  EXPECT_EQ(reader.frame_index(), 2);
  EXPECT_EQ(reader.frame_offset(), offsets_[2]);
  reader.skip_rest();
  EXPECT_TRUE(reader.next().empty());
  Hasher whole(Checksum::kSha256);
  whole.update(file_);
  EXPECT_EQ(hasher.finish(), whole.finish()) << "each byte is read once, whatever the frames say";
}

TEST_P(SegmentReaderTest, AFrameMayNotLeaveItsSegment) {
  if (!has_frames()) return;  // This codec has no frames.
  write_frames(2);
  for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{19}, std::uint64_t{20}, std::uint64_t{21}, offsets_[1] - 7 - 1}) {
    FileSource source(path_);
    source.seek(7);
    SegmentReader reader(source, GetParam(), pool_, stop_, nullptr);
    reader.begin(7, size);
    EXPECT_EQ(code_of([&] { reader.next(); }), "data_damaged") << size;
  }
}

TEST_P(SegmentReaderTest, AFileThatEndsTooEarlyIsDamaged) {
  write_frames(3);
  for (const std::size_t missing : {std::size_t{1}, std::size_t{100}, file_.size() - 8}) {
    write_file(path_, std::span(file_).first(file_.size() - missing));
    FileSource source(path_);
    source.seek(7);
    SegmentReader reader(source, GetParam(), pool_, stop_, nullptr);
    reader.begin(7, stored_bytes());
    EXPECT_EQ(code_of([&] {
                while (!reader.next().empty()) {}
              }),
              "data_damaged");
  }
}

TEST_P(SegmentReaderTest, RandomBytesNeverCrash) {
  Random random(112);
  for (int round = 0; round < 60; ++round) {
    write_frames(2);
    for (std::size_t change = 0; change < 4; ++change) file_[7 + random.below(stored_bytes())] = static_cast<std::byte>(random.next());
    // Where the headers are.
    file_[7 + random.below(40)] = static_cast<std::byte>(random.next());
    write_file(path_, std::span(file_).first(std::min<std::size_t>(file_.size(), 200000)));
    FileSource source(path_);
    source.seek(7);
    SegmentReader reader(source, GetParam(), pool_, stop_, nullptr);
    reader.begin(7, source.size() - 7);
    try {
      while (!reader.next().empty()) {}
    } catch (const Error& error) {
      EXPECT_STREQ(error.code(), "data_damaged");
    }
    blocks_.clear();
    offsets_.clear();
  }
}

TEST_P(SegmentReaderTest, EndsOnAStop) {
  write_frames(2);
  FileSource source(path_);
  SegmentReader reader(source, GetParam(), pool_, stop_, nullptr);
  reader.begin(0, 7);
  reader.skip_rest();
  reader.begin(7, stored_bytes());
  reader.next();
  stop_.request();
  EXPECT_EQ(code_of([&] { reader.next(); }), "cancelled");
  reader.begin(7, stored_bytes());
  EXPECT_EQ(code_of([&] { reader.skip_rest(); }), "cancelled");
}

INSTANTIATE_TEST_SUITE_P(Codecs, SegmentReaderTest, testing::ValuesIn(kCodecs), [](const auto& codec) { return name_of(codec.param); });

}  // namespace

}  // namespace dbbackup::test
