#include <gtest/gtest.h>

#include <set>

#include "codec/samples.h"
#include "pipeline/data_file_writer.h"
#include "pipeline/encoder_pool.h"
#include "pipeline/worker.h"
#include "support/copy_data.h"
#include "support/errors.h"
#include "support/segments.h"
#include "support/temporary_directory.h"

namespace dbbackup::test {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class CheckTest : public testing::TestWithParam<Codec> {
 protected:
  /// One file with the segments of `sources`, each in one frame, and the task that proves it.
  CheckTask write(const std::vector<CopyData>& sources) {
    FileSinkSpec sink;
    sink.directory = directory_.path();
    sink.stem = "t" + std::to_string(++files_);
    sink.extension = extension_of(GetParam());
    sink.codec = GetParam();
    sink.max_stored_bytes = 100 * kMiB;
    sink.is_direct = false;
    BlockPool pool(1);
    DataFileWriter writer(sink, pool.acquire({}));
    FrameEncoder encoder;
    std::vector<RowFormat> formats;
    for (std::size_t source = 0; source < sources.size(); ++source) {
      const CopyData& data = sources[source];
      const Bytes raw = data.raw();
      const auto number = static_cast<std::int64_t>(source);
      BlockFacts facts;
      facts.digest = data.digest();
      if (!raw.empty()) writer.write_frame(number, data.format, encode(encoder, GetParam(), 1, 0, raw), raw.size(), facts);
      writer.end_source(number, data.format);
      formats.push_back(data.format);
    }
    writer.finish();
    TaskResult result;
    result.files = std::move(writer.files);
    result.segments = std::move(writer.segments);
    return check_of(directory_.path(), result, 0, GetParam(), Checksum::kXxh3, formats);
  }

  std::vector<Finding> findings_of(const CheckTask& task) { return run_check(task, worker_).findings; }
  std::set<std::string> kinds_of(const CheckTask& task) {
    std::set<std::string> kinds;
    for (const Finding& finding : findings_of(task)) kinds.insert(finding.kind);
    return kinds;
  }
  using Kinds = std::set<std::string>;

  TemporaryDirectory directory_;
  int files_ = 0;
  Stop stop_;
  EncoderPool encoders_{1};
  Worker worker_{stop_, encoders_, 4};
};

std::vector<CopyData> few_rows() {
  return {{RowFormat::kBinary, {binary_row({bytes_of("one"), std::nullopt}), binary_row({bytes_of("two"), Bytes()})}},
          {RowFormat::kText, {bytes_of("1\tfirst\n"), bytes_of("2\tsecond\n"), bytes_of("3\tthird\n")}},
          {RowFormat::kBinary, {}}};
}

TEST_P(CheckTest, FindsNothingInWhatWasWritten) {
  Random random(131);
  const CheckTask task =
      write({random_copy_data(random, RowFormat::kBinary, 2000), random_copy_data(random, RowFormat::kText, 2000), {RowFormat::kText, {}}});
  const TaskResult result = run_check(task, worker_);
  EXPECT_TRUE(result.findings.empty());
  EXPECT_EQ(result.row_count, 4000u);
  EXPECT_EQ(result.stored_bytes, task.size_bytes);
}

TEST_P(CheckTest, FindsADamagedByteAnywhere) {
  const CheckTask task = write(few_rows());
  const Bytes file = read_file(task.path);
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const unsigned change : {0x01u, 0x80u, 0xffu}) {
      Bytes damaged = file;
      damaged[at] ^= static_cast<std::byte>(change);
      write_file(task.path, damaged);
      EXPECT_TRUE(kinds_of(task).contains("checksum")) << "byte " << at;
    }
  }
}

TEST_P(CheckTest, NamesTheDamagedSegmentAndFrame) {
  const CheckTask task = write(few_rows());
  Bytes file = read_file(task.path);
  const std::size_t at = task.segments[1].offset + frame_prefix_bytes(GetParam()) + (GetParam() == Codec::kNone ? 3 : 12);
  file[at] ^= std::byte{0x40};
  write_file(task.path, file);
  const std::vector<Finding> findings = findings_of(task);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].segment, "source 1");
  if (GetParam() == Codec::kNone) {
    EXPECT_EQ(findings[0].kind, "digest") << "without frames the rows alone can tell";
  } else {
    EXPECT_EQ(findings[0].kind, "frame");
    EXPECT_EQ(findings[0].frame, 0);
    EXPECT_EQ(findings[0].offset, static_cast<std::int64_t>(task.segments[1].offset));
  }
  EXPECT_EQ(findings[1].kind, "checksum");
  EXPECT_EQ(findings[1].segment, "") << "which of three relations is damaged is not known from the file's checksum";
}

TEST_P(CheckTest, FindsFlagsThatDoNotFitTheRows) {
  if (GetParam() == Codec::kNone) return;  // This codec has no frames.
  const CheckTask task = write(few_rows());
  for (const unsigned flags : {1u, 2u, 3u}) {
    Bytes file = read_file(task.path);
    file[task.segments[1].offset + frame_prefix_bytes(GetParam()) - 4] = static_cast<std::byte>(flags);
    const TemporaryDirectory other;
    CheckTask changed = task;
    changed.path = other.file("f");
    write_file(changed.path, file);
    EXPECT_EQ(kinds_of(changed), (Kinds{"frame", "checksum"})) << flags;
  }
}

TEST_P(CheckTest, FindsAFileOfAnotherSize) {
  const CheckTask task = write(few_rows());
  const Bytes file = read_file(task.path);
  for (std::size_t size = 0; size < file.size(); size += 7) {
    write_file(task.path, std::span(file).first(size));
    const Kinds kinds = kinds_of(task);
    EXPECT_TRUE(kinds.contains("size") && kinds.contains("checksum")) << size;
  }
  write_file(task.path, joined({file, {std::byte{0}}}));
  EXPECT_EQ(kinds_of(task), (Kinds{"size", "checksum"}));
}

TEST_P(CheckTest, FindsAMissingFile) {
  CheckTask task = write(few_rows());
  const std::string path = task.path;
  std::filesystem::rename(path, path + ".away");
  EXPECT_EQ(kinds_of(task), Kinds{"missing"});
  std::filesystem::create_symlink(path + ".away", path);
  EXPECT_EQ(kinds_of(task), Kinds{"missing"}) << "a link is not followed";
}

TEST_P(CheckTest, FindsRowsThatAreNotThoseOfTheManifest) {
  const CheckTask task = write(few_rows());
  CheckTask other_digest = task;
  other_digest.segments[0].digest.back() = other_digest.segments[0].digest.back() == '0' ? '1' : '0';
  EXPECT_EQ(kinds_of(other_digest), Kinds{"digest"});
  CheckTask other_count = task;
  ++other_count.segments[1].row_count;
  EXPECT_EQ(kinds_of(other_count), Kinds{"rows"});
  CheckTask other_bytes = task;
  --other_bytes.segments[1].raw_bytes;
  EXPECT_EQ(kinds_of(other_bytes), Kinds{"rows"});
  CheckTask other_checksum = task;
  other_checksum.checksum = std::string(32, '0');
  EXPECT_EQ(kinds_of(other_checksum), Kinds{"checksum"});
  CheckTask other_name = task;
  other_name.checksum_name = Checksum::kSha256;
  EXPECT_EQ(kinds_of(other_name), Kinds{"checksum"});
  CheckTask other_format = task;
  other_format.segments[0].format = RowFormat::kText;
  EXPECT_FALSE(kinds_of(other_format).empty());
}

TEST_P(CheckTest, RefusesSegmentsThatOverlapAndSurvivesThoseBeyondTheFile) {
  const CheckTask task = write(few_rows());
  CheckTask overlapping = task;
  overlapping.segments[1].offset -= 1;
  EXPECT_EQ(code_of([&] { findings_of(overlapping); }), "data_damaged");
  CheckTask beyond = task;
  beyond.segments[2].stored_bytes = std::uint64_t{1} << 50;
  EXPECT_TRUE(kinds_of(beyond).contains("size"));
  CheckTask far_away = task;
  far_away.segments[2].offset = std::uint64_t{1} << 50;
  EXPECT_TRUE(kinds_of(far_away).contains("size"));
  CheckTask shorter = task;
  shorter.segments[1].stored_bytes -= 1;
  EXPECT_FALSE(findings_of(shorter).empty());
}

TEST_P(CheckTest, BytesBetweenSegmentsAreCheckedByTheChecksum) {
  CheckTask task = write(few_rows());
  task.segments.erase(task.segments.begin() + 1);
  EXPECT_TRUE(findings_of(task).empty());
  Bytes file = read_file(task.path);
  file[task.segments[1].offset - 1] ^= std::byte{1};
  write_file(task.path, file);
  EXPECT_EQ(kinds_of(task), Kinds{"checksum"});
}

INSTANTIATE_TEST_SUITE_P(Codecs, CheckTest, testing::ValuesIn(kCodecs), [](const auto& codec) { return name_of(codec.param); });

}  // namespace

}  // namespace dbbackup::test
