#include "pipeline/data_file_writer.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "codec/samples.h"
#include "support/copy_data.h"
#include "support/errors.h"
#include "support/full_disk.h"
#include "support/segments.h"

namespace dbbackup::test {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class DataFileWriterTest : public testing::TestWithParam<Codec> {
 protected:
  FileSinkSpec spec(std::uint64_t max_stored_bytes) const {
    FileSinkSpec spec;
    spec.directory = directory_.path();
    spec.stem = "t000001-a1";
    spec.extension = extension_of(GetParam());
    spec.codec = GetParam();
    spec.max_stored_bytes = max_stored_bytes;
    spec.is_direct = false;
    return spec;
  }
  std::string part(int number) const {
    char name[20];
    std::snprintf(name, sizeof name, "t000001-a1-p%03d", number);
    return name + extension_of(GetParam());
  }

  /// Writes the rows of `data` in blocks of about `block_bytes`, a row larger than a block in frames of its own, as CopyReader does.
  void write_rows(DataFileWriter& writer, std::int64_t source, const CopyData& data, std::size_t block_bytes) {
    Bytes block;
    BlockFacts facts;
    const auto flush = [&] {
      if (block.empty()) return;
      const std::uint32_t flags = (facts.begins_inside_row ? 1 : 0) | (facts.ends_inside_row ? 2 : 0);
      const Bytes frame = encode(encoder_, GetParam(), 1, flags, block);
      writer.write_frame(source, data.format, frame, block.size(), facts);
      const bool is_inside_row = facts.ends_inside_row;
      block.clear();
      facts = {};
      facts.begins_inside_row = is_inside_row;
    };
    for (const Bytes& row : data.rows) {
      if (block.size() + row.size() > block_bytes) flush();
      std::span<const std::byte> left(row);
      while (left.size() > kBlockRawBytes) {
        append(block, left.first(kBlockRawBytes));
        left = left.subspan(kBlockRawBytes);
        facts.ends_inside_row = true;
        facts.row_bytes_left = left.size();
        flush();
      }
      append(block, left);
      facts.digest.add_row(row);
    }
    flush();
    writer.end_source(source, data.format);
  }

  /// Files and segments are consistent with each other and with the rows.
  void expect_holds(const DataFileWriter& writer, const std::vector<CopyData>& sources) {
    std::vector<Bytes> files;
    for (const FileResult& file : writer.files) {
      files.push_back(read_file(directory_.file(file.path)));
      EXPECT_EQ(file.size_bytes, files.back().size());
      EXPECT_EQ(file.checksum, text_of(run_child({"xxhsum", "-H2"}, files.back()).output).substr(0, 32));
    }
    std::vector<std::uint64_t> ends(files.size());
    std::map<std::int64_t, Bytes> raw;
    std::map<std::int64_t, RowDigest> digests;
    std::map<std::int64_t, std::uint64_t> raw_bytes;
    for (const SegmentResult& segment : writer.segments) {
      const auto file = static_cast<std::size_t>(segment.file);
      EXPECT_EQ(segment.offset, ends.at(file)) << "segments lie one behind the other";
      ends[file] += segment.stored_bytes;
      const CopyData& data = sources.at(static_cast<std::size_t>(segment.source));
      const Bytes stream = decode_with_stock_tools(GetParam(), files[file], segment);
      RowParser parser(data.format);
      parser.feed(stream);
      parser.finish();
      EXPECT_EQ(parser.digest(), segment.digest) << "each segment is a complete COPY stream";
      EXPECT_EQ(parser.raw_bytes(), segment.raw_bytes);
      const std::size_t header = data.format == RowFormat::kBinary ? kBinaryHeaderBytes : 0;
      const std::size_t trailer = data.format == RowFormat::kBinary ? kBinaryTrailerBytes : 0;
      append(raw[segment.source], std::span(stream).subspan(header, stream.size() - header - trailer));
      digests[segment.source].add(segment.digest);
    }
    for (std::size_t file = 0; file < files.size(); ++file) EXPECT_EQ(ends[file], files[file].size());
    for (std::size_t source = 0; source < sources.size(); ++source) {
      EXPECT_TRUE(raw.contains(static_cast<std::int64_t>(source))) << "source " << source << " has a segment";
      EXPECT_TRUE(raw[static_cast<std::int64_t>(source)] == sources[source].raw());
      EXPECT_EQ(digests[static_cast<std::int64_t>(source)], sources[source].digest());
    }
  }

  TemporaryDirectory directory_;
  BlockPool pool_{1};
  FrameEncoder encoder_;
};

TEST_P(DataFileWriterTest, PacksSourcesIntoOneFile) {
  Random random(101);
  const std::vector<CopyData> sources = {random_copy_data(random, RowFormat::kBinary, 100),
                                         {RowFormat::kText, {}},
                                         random_copy_data(random, RowFormat::kText, 50),
                                         {RowFormat::kBinary, {}},
                                         {RowFormat::kBinary, {}},
                                         random_copy_data(random, RowFormat::kBinary, 1)};
  const FileSinkSpec sink = spec(100 * kMiB);
  DataFileWriter writer(sink, pool_.acquire({}));
  for (std::size_t source = 0; source < sources.size(); ++source)
    write_rows(writer, static_cast<std::int64_t>(source), sources[source], 1000);
  EXPECT_EQ(directory_.names(), std::vector<std::string>{part(1) + ".tmp"});
  writer.finish();
  EXPECT_EQ(directory_.names(), std::vector<std::string>{part(1)});
  EXPECT_EQ(writer.segments.size(), sources.size());
  expect_holds(writer, sources);
}

TEST_P(DataFileWriterTest, GoesOnInANextPartWithinItsBound) {
  Random random(102);
  for (int round = 0; round < 2; ++round) {
    const TemporaryDirectory fresh;
    const std::uint64_t bound = 8000 + random.below(8000);
    std::vector<CopyData> sources;
    for (int source = 0; source < 4; ++source)
      sources.push_back(random_copy_data(random, random.chance(50) ? RowFormat::kText : RowFormat::kBinary, 100 + random.below(400), 200));
    FileSinkSpec sink = spec(bound);
    sink.stem = "round" + std::to_string(round);
    DataFileWriter writer(sink, pool_.acquire({}));
    for (std::size_t source = 0; source < sources.size(); ++source)
      write_rows(writer, static_cast<std::int64_t>(source), sources[source], 3000);
    writer.finish();
    EXPECT_GT(writer.files.size(), 3u);
    for (const FileResult& file : writer.files) EXPECT_LE(file.size_bytes, bound);
    expect_holds(writer, sources);
  }
}

TEST_P(DataFileWriterTest, EachFrameMayBeAPart) {
  Random random(103);
  const std::vector<CopyData> sources = {random_copy_data(random, RowFormat::kBinary, 40, 50)};
  const FileSinkSpec sink = spec(1);
  DataFileWriter writer(sink, pool_.acquire({}));
  write_rows(writer, 0, sources[0], 200);
  writer.finish();
  EXPECT_EQ(writer.files.size(), writer.segments.size());
  EXPECT_GT(writer.files.size(), 10u);
  expect_holds(writer, sources);
}

TEST_P(DataFileWriterTest, ARowStaysInOnePart) {
  Random random(104);
  // Rows of 3.75, 4.5 and 1.5 MiB with small ones between them: only the second is larger than the bound.
  CopyData data{RowFormat::kBinary, {}};
  for (const std::size_t size : {15 * kMiB / 4, 9 * kMiB / 2, 3 * kMiB / 2}) {
    for (int row = 0; row < 50; ++row) data.rows.push_back(binary_row({random.bytes(10000)}));
    data.rows.push_back(binary_row({random.bytes(size)}));
  }
  const std::uint64_t bound = 4 * kMiB;
  const FileSinkSpec sink = spec(bound);
  DataFileWriter writer(sink, pool_.acquire({}));
  write_rows(writer, 0, data, kBlockRawBytes);
  writer.finish();
  expect_holds(writer, {data});
  int exceeding = 0;
  for (const SegmentResult& segment : writer.segments) {
    if (writer.files[static_cast<std::size_t>(segment.file)].size_bytes <= bound) continue;
    ++exceeding;
    EXPECT_GT(segment.raw_bytes, 9 * kMiB / 2) << "only the row larger than the bound exceeds it";
    EXPECT_LT(segment.raw_bytes, 9 * kMiB / 2 + kMiB) << "and begins a file of its own";
  }
  EXPECT_EQ(exceeding, 1);
}

TEST_P(DataFileWriterTest, TablesWithoutRowsStayWithinTheBound) {
  const std::vector<CopyData> sources(300, CopyData{RowFormat::kBinary, {}});
  const FileSinkSpec sink = spec(2000);
  DataFileWriter writer(sink, pool_.acquire({}));
  for (std::size_t source = 0; source < sources.size(); ++source)
    write_rows(writer, static_cast<std::int64_t>(source), sources[source], 1000);
  writer.finish();
  for (const FileResult& file : writer.files) EXPECT_LE(file.size_bytes, 2000u);
  EXPECT_EQ(writer.segments.size(), sources.size());
}

TEST_P(DataFileWriterTest, WithoutSourcesThereIsNoFile) {
  const FileSinkSpec sink = spec(kMiB);
  DataFileWriter writer(sink, pool_.acquire({}));
  writer.finish();
  EXPECT_TRUE(writer.files.empty());
  EXPECT_TRUE(directory_.names().empty());
}

TEST_P(DataFileWriterTest, DestroyedBeforeFinishItRemovesAllParts) {
  Random random(105);
  write_file(directory_.file("other"), bytes_of("x"));
  {
    const FileSinkSpec sink = spec(3000);
    DataFileWriter writer(sink, pool_.acquire({}));
    write_rows(writer, 0, random_copy_data(random, RowFormat::kText, 200, 200), 1000);
    EXPECT_GT(directory_.names().size(), 3u);
  }
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"other"});
}

TEST_P(DataFileWriterTest, RemovesItsPartsButNotSomebodyElses) {
  Random random(106);
  write_file(directory_.file(part(3)), bytes_of("somebody else's"));
  {
    const FileSinkSpec sink = spec(3000);
    DataFileWriter writer(sink, pool_.acquire({}));
    EXPECT_EQ(code_of([&] { write_rows(writer, 0, random_copy_data(random, RowFormat::kText, 300, 200), 1000); }), "io_error");
  }
  EXPECT_EQ(directory_.names(), std::vector<std::string>{part(3)});
  EXPECT_EQ(text_of(read_file(directory_.file(part(3)))), "somebody else's");
}

TEST_P(DataFileWriterTest, AFullDiskLeavesNothing) {
  const SmallFileSystem small;
  if (!small.is_mounted()) GTEST_SKIP() << "only root may mount a small file system";
  Random random(107);
  CopyData data{RowFormat::kBinary, {}};
  for (int row = 0; row < 6; ++row) data.rows.push_back(binary_row({random.bytes(900000)}));
  {
    FileSinkSpec sink = spec(kMiB);
    sink.directory = small.directory().path();
    DataFileWriter writer(sink, pool_.acquire({}));
    EXPECT_EQ(code_of([&] {
                write_rows(writer, 0, data, kBlockRawBytes);
                writer.finish();
              }),
              "disk_full");
  }
  EXPECT_TRUE(small.directory().names().empty());
}

INSTANTIATE_TEST_SUITE_P(Codecs, DataFileWriterTest, testing::ValuesIn(kCodecs), [](const auto& codec) { return name_of(codec.param); });

}  // namespace

}  // namespace dbbackup::test
