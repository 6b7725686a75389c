#include <gtest/gtest.h>

#include <algorithm>

#include "codec/samples.h"
#include "pipeline/data_file_writer.h"
#include "pipeline/encoder_pool.h"
#include "pipeline/worker.h"
#include "support/copy_server.h"
#include "support/errors.h"
#include "support/segments.h"

namespace dbbackup::test {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class CopyInTest : public testing::TestWithParam<Codec> {
 protected:
  /// A file with one segment of `data`, and the task's part that loads it.
  CopyInSegment segment_of(const CopyData& data, const std::string& name) {
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
    const Bytes raw = data.raw();
    for (std::size_t at = 0; at < raw.size(); at += kBlockRawBytes) {
      const std::span<const std::byte> block = std::span(raw).subspan(at, std::min(kBlockRawBytes, raw.size() - at));
      writer.write_frame(0, data.format, encode(encoder, GetParam(), 1, 0, block), block.size(), {});
    }
    writer.end_source(0, data.format);
    writer.finish();
    CopyInSegment segment;
    segment.name = name;
    segment.path = directory_.file(writer.files[0].path);
    segment.codec = GetParam();
    segment.offset = writer.segments[0].offset;
    segment.stored_bytes = writer.segments[0].stored_bytes;
    segment.raw_bytes = raw.size();
    segment.row_count = data.rows.size();
    segment.digest = data.digest().hex();
    segment.format = data.format;
    segment.begin_sql = {"BEGIN", "TRUNCATE"};
    segment.copy_sql = "COPY " + name;
    segment.end_sql = {"COMMIT"};
    return segment;
  }
  CopyInTask task_of(const CopyServer& server, std::vector<CopyInSegment> segments) const {
    return {{"key", server.connection(), {}}, std::move(segments)};
  }

  /// The error of a task, whose rows must not have been committed.
  Error failure_of(const CopyServer& server, CopyInTask task) {
    const std::optional<Error> error = error_of([&] { run_copy_in(task, worker_); });
    worker_.drop_connection();
    const std::vector<std::string> statements = server.statements();
    EXPECT_EQ(std::count(statements.begin(), statements.end(), "COMMIT"), 0);
    return error ? *error : Error("none", "");
  }

  TemporaryDirectory directory_;
  int files_ = 0;
  Stop stop_;
  EncoderPool encoders_{1};
  Worker worker_{stop_, encoders_, 4};
};

TEST_P(CopyInTest, SendsTheRowsThatWereBackedUp) {
  Random random(141);
  std::vector<CopyData> all = {random_copy_data(random, RowFormat::kText, 3000, 300),
                               random_copy_data(random, RowFormat::kBinary, 3000, 300),
                               {RowFormat::kBinary, {}},
                               {RowFormat::kBinary, {binary_row({random.bytes(5 * kMiB)})}}};
  CopyServer server({});
  std::vector<CopyInSegment> segments;
  std::uint64_t rows = 0;
  for (std::size_t index = 0; index < all.size(); ++index) {
    segments.push_back(segment_of(all[index], "t" + std::to_string(index)));
    server.set(segments.back().copy_sql, server.takes(all[index].format, all[index].rows.size()));
    rows += all[index].rows.size();
  }
  worker_.counters.begin_task(1);
  const TaskResult result = run_copy_in(task_of(server, segments), worker_);
  EXPECT_EQ(result.row_count, rows);
  EXPECT_EQ(worker_.counters.task_row_count, rows);
  const std::vector<Bytes> received = server.received();
  ASSERT_EQ(received.size(), all.size());
  for (std::size_t index = 0; index < all.size(); ++index) EXPECT_TRUE(received[index] == all[index].stream()) << index;
  EXPECT_EQ(server.statements().size(), 4 * all.size());
}

TEST_P(CopyInTest, RowsThatDifferAreNotCommitted) {
  Random random(142);
  const CopyData data = random_copy_data(random, RowFormat::kBinary, 100);
  for (int change = 0; change < 3; ++change) {
    CopyInSegment segment = segment_of(data, "t");
    if (change == 0) segment.digest[5] = segment.digest[5] == 'a' ? 'b' : 'a';
    if (change == 1) segment.row_count += 1;
    if (change == 2) segment.raw_bytes += 1;
    CopyServer server({});
    server.set("COPY t", server.takes(RowFormat::kBinary, segment.row_count));
    const Error error = failure_of(server, task_of(server, {segment}));
    EXPECT_STREQ(error.code(), "data_damaged");
    EXPECT_EQ(error.object, "t");
    EXPECT_EQ(error.path, segment.path);
    EXPECT_TRUE(server.received().empty()) << "the server was not told that the rows are complete";
  }
}

TEST_P(CopyInTest, DamagedFilesAreNotCommitted) {
  Random random(143);
  const CopyData data = random_copy_data(random, RowFormat::kBinary, 40, 30);
  const CopyInSegment segment = segment_of(data, "t");
  const Bytes file = read_file(segment.path);
  for (std::size_t at = 0; at < file.size(); at += 1 + random.below(40)) {
    Bytes damaged = file;
    damaged[at] ^= std::byte{0x20};
    const bool is_cut = random.chance(30);
    write_file(segment.path, is_cut ? std::span<const std::byte>(file).first(at) : std::span<const std::byte>(damaged));
    CopyServer server({});
    server.set("COPY t", server.takes(RowFormat::kBinary, data.rows.size()));
    const std::optional<Error> error = error_of([&] { run_copy_in(task_of(server, {segment}), worker_); });
    worker_.drop_connection();
    if (error) {
      EXPECT_STREQ(error->code(), "data_damaged") << "byte " << at;
      EXPECT_TRUE(server.received().empty());
    } else {
      // A byte that nothing depends on, the flags for example.
      ASSERT_EQ(server.received().size(), 1u);
      EXPECT_TRUE(server.received()[0] == data.stream()) << "byte " << at;
    }
  }
}

TEST_P(CopyInTest, RowsThatTheServerLeavesOutAreNotCommitted) {
  // A trigger or a rule may.
  const CopyData data{RowFormat::kText, {bytes_of("1\n"), bytes_of("2\n")}};
  const CopyInSegment segment = segment_of(data, "t");
  CopyServer server({});
  server.set("COPY t", server.takes(RowFormat::kText, 1));
  const Error error = failure_of(server, task_of(server, {segment}));
  EXPECT_STREQ(error.code(), "server_error");
  EXPECT_EQ(error.object, "t");
}

TEST_P(CopyInTest, TheServersErrorNamesTheSegment) {
  const CopyInSegment segment = segment_of({RowFormat::kText, {bytes_of("1\n")}}, "t");
  CopyServer server({{"COPY t", CopyServer::fails("42P01", "relation \"t\" does not exist")}});
  const Error error = failure_of(server, task_of(server, {segment}));
  EXPECT_STREQ(error.code(), "server_error");
  EXPECT_EQ(error.object, "t");
  CopyServer no_type({{"TRUNCATE", CopyServer::fails("42704", "type \"t\" does not exist")}});
  EXPECT_STREQ(failure_of(no_type, task_of(no_type, {segment})).code(), "type_missing");
}

TEST_P(CopyInTest, AMissingFileIsDamage) {
  CopyInSegment segment = segment_of({RowFormat::kText, {bytes_of("1\n")}}, "t");
  std::filesystem::remove(segment.path);
  CopyServer server({});
  const Error error = failure_of(server, task_of(server, {segment}));
  EXPECT_STREQ(error.code(), "data_damaged");
  EXPECT_EQ(error.path, segment.path);
}

INSTANTIATE_TEST_SUITE_P(Codecs, CopyInTest, testing::ValuesIn(kCodecs), [](const auto& codec) { return name_of(codec.param); });

}  // namespace

}  // namespace dbbackup::test
