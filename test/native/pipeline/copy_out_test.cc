// A worker that reads from a scripted server into files, with as few blocks as the engine allows.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "codec/samples.h"
#include "pipeline/encoder_pool.h"
#include "pipeline/worker.h"
#include "support/copy_server.h"
#include "support/errors.h"
#include "support/full_disk.h"
#include "support/segments.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
constexpr std::size_t kMiB = std::size_t{1} << 20;

class CopyOutTest : public testing::TestWithParam<Codec> {
 protected:
  CopyOutTask task_of(const CopyServer& server, const std::vector<RowFormat>& formats) const {
    CopyOutTask task;
    task.session = {"key", server.connection(), {"SET one = 1", "BEGIN"}};
    for (std::size_t source = 0; source < formats.size(); ++source) {
      CopyOutSource added;
      added.name = "public.table " + std::to_string(source);
      added.copy_sql = "COPY " + std::to_string(source);
      added.format = formats[source];
      task.sources.push_back(std::move(added));
    }
    task.sink.emplace();
    task.sink->directory = directory_.path();
    task.sink->stem = "t000001-a1";
    task.sink->extension = extension_of(GetParam());
    task.sink->codec = GetParam();
    task.sink->max_stored_bytes = kMiB;
    return task;
  }

  /// All blocks are home again.
  void expect_all_blocks_home() {
    std::vector<Block> blocks;
    std::stop_source soon;
    std::jthread stopper([&](const std::stop_token& done) {
      for (int wait = 0; wait < 200 && !done.stop_requested(); ++wait) std::this_thread::sleep_for(milliseconds(5));
      soon.request_stop();
    });
    for (std::size_t count = 0; count < worker_->pool.count(); ++count) blocks.push_back(worker_->pool.acquire(soon.get_token()));
    blocks.clear();
  }

  /// The error of a task, after which nothing of it is left.
  Error failure_of(const CopyOutTask& task) {
    const std::optional<Error> error = error_of([&] { run_copy_out(task, *worker_); });
    EXPECT_TRUE(error);
    worker_->drop_connection();
    EXPECT_EQ(directory_.names(), std::vector<std::string>());
    if (!stop_.requested()) expect_all_blocks_home();
    return error ? *error : Error("none", "");
  }

  TemporaryDirectory directory_;
  Stop stop_;
  EncoderPool encoders_{2};
  std::optional<Worker> worker_{std::in_place, stop_, encoders_, 4};
};

/// Rows without an end.
CopyServer::Answer endless() {
  return [](ScriptedClient& client) -> Bytes {
    client.send(wire::copy_out_response(RowFormat::kText));
    Bytes row(5000, std::byte{'x'});
    row.back() = std::byte{'\n'};
    Bytes rows;
    for (int count = 0; count < 50; ++count) append(rows, wire::copy_data(row));
    for (;;) client.send(rows);
  };
}

TEST_P(CopyOutTest, StoresWhatTheServerSends) {
  Random random(121);
  std::vector<CopyData> sources;
  sources.push_back(random_copy_data(random, RowFormat::kBinary, 8000, 200));
  sources.push_back({RowFormat::kText, {}});
  sources.push_back(random_copy_data(random, RowFormat::kText, 8000, 200));
  sources.push_back({RowFormat::kBinary, {}});
  sources.push_back({RowFormat::kBinary,
                     {binary_row({bytes_of("small")}), binary_row({random.bytes(4 * kMiB)}), binary_row({Bytes(3 * kMiB)}),
                      binary_row({bytes_of("end")})}});
  CopyServer server({});
  std::vector<RowFormat> formats;
  for (std::size_t source = 0; source < sources.size(); ++source) {
    server.set("COPY " + std::to_string(source), CopyServer::rows(sources[source]));
    formats.push_back(sources[source].format);
  }
  CopyOutTask task = task_of(server, formats);
  for (const Checksum checksum : {Checksum::kXxh3, Checksum::kSha256}) {
    task.sink->checksum = checksum;
    const TemporaryDirectory fresh;
    task.sink->directory = fresh.path();
    worker_->counters.begin_task(1);
    const TaskResult result = run_copy_out(task, *worker_);

    std::uint64_t raw_bytes = 0, rows = 0, stored = 0;
    for (const CopyData& source : sources) {
      raw_bytes += source.raw().size();
      rows += source.rows.size();
    }
    for (const FileResult& file : result.files) stored += file.size_bytes;
    EXPECT_EQ(result.raw_bytes, raw_bytes);
    EXPECT_EQ(result.row_count, rows);
    EXPECT_EQ(result.stored_bytes, stored);
    EXPECT_EQ(worker_->counters.task_raw_bytes, raw_bytes);
    EXPECT_EQ(worker_->counters.task_row_count, rows);

    std::vector<Bytes> raw(sources.size());
    for (const SegmentResult& segment : result.segments) {
      const CopyData& source = sources[static_cast<std::size_t>(segment.source)];
      Bytes stream =
          decode_with_stock_tools(GetParam(), read_file(fresh.file(result.files[static_cast<std::size_t>(segment.file)].path)), segment);
      if (source.format == RowFormat::kBinary) stream = Bytes(stream.begin() + kBinaryHeaderBytes, stream.end() - kBinaryTrailerBytes);
      append(raw[static_cast<std::size_t>(segment.source)], stream);
    }
    for (std::size_t source = 0; source < sources.size(); ++source) EXPECT_TRUE(raw[source] == sources[source].raw()) << source;
    for (std::size_t file = 0; file < result.files.size(); ++file) {
      const TaskResult checked = run_check(check_of(fresh.path(), result, file, GetParam(), checksum, formats), *worker_);
      for (const Finding& finding : checked.findings) ADD_FAILURE() << finding.kind << ": " << finding.message;
    }
  }
  expect_all_blocks_home();
  EXPECT_EQ(server.clients(), 1) << "the connection is kept for tasks of the same key";
  EXPECT_EQ(server.cancel_requests(), 0);
}

TEST_P(CopyOutTest, WithoutASinkItOnlyDigests) {
  Random random(122);
  const CopyData data = random_copy_data(random, RowFormat::kBinary, 5000, 500);
  CopyServer server({{"COPY 0", CopyServer::rows(data)}});
  CopyOutTask task = task_of(server, {RowFormat::kBinary, RowFormat::kBinary});
  task.sources[1].copy_sql = "COPY 0";
  task.sink.reset();
  const TaskResult result = run_copy_out(task, *worker_);
  EXPECT_TRUE(result.files.empty());
  ASSERT_EQ(result.segments.size(), 2u);
  EXPECT_EQ(result.segments[1].source, 1);
  EXPECT_EQ(result.segments[1].file, -1);
  EXPECT_EQ(result.segments[1].digest, data.digest());
  EXPECT_EQ(result.segments[1].raw_bytes, data.raw().size());
  EXPECT_TRUE(directory_.names().empty());
}

TEST_P(CopyOutTest, LocksAndProvesTheSourceFirst) {
  CopyServer server({{"COPY 0", CopyServer::rows({RowFormat::kText, {bytes_of("1\n")}})}, {"check", CopyServer::value("4711")}});
  CopyOutTask task = task_of(server, {RowFormat::kText});
  task.sources[0].lock_sql = "lock";
  task.sources[0].check_sql = "check";
  task.sources[0].check_expected = "4711";
  run_copy_out(task, *worker_);
  EXPECT_EQ(server.statements(), (std::vector<std::string>{"SET one = 1", "BEGIN", "lock", "check", "COPY 0"}));
  for (const FileResult& file : run_copy_out(task_of(server, {}), *worker_).files) ADD_FAILURE() << file.path;
  std::filesystem::remove(directory_.file("t000001-a1-p001" + extension_of(GetParam())));

  task.sources[0].check_expected = "4712";
  const Error changed = failure_of(task);
  EXPECT_STREQ(changed.code(), "relation_changed");
  EXPECT_EQ(changed.object, "public.table 0");
  EXPECT_EQ(server.statements().back(), "check") << "what was changed is not read";
  task.sources[0].check_expected = std::nullopt;
  EXPECT_STREQ(failure_of(task).code(), "relation_changed");
}

TEST_P(CopyOutTest, AFailedSetUpIsDoneAgain) {
  CopyServer server({{"BEGIN", CopyServer::fails("53300", "too many")}});
  const CopyOutTask task = task_of(server, {RowFormat::kText});
  EXPECT_STREQ(failure_of(task).code(), "connection_failed");
  EXPECT_STREQ(failure_of(task).code(), "connection_failed");
  EXPECT_EQ(server.clients(), 2);
}

TEST_P(CopyOutTest, AServersErrorNamesTheSourceAndLeavesNothing) {
  Random random(123);
  CopyServer server({{"COPY 0", CopyServer::rows(random_copy_data(random, RowFormat::kText, 30000, 500))},
                     {"COPY 1", [](ScriptedClient& client) -> Bytes {
                        client.send(wire::copy_out_response(RowFormat::kText));
                        Bytes row(kMiB / 2, std::byte{'x'});
                        row.back() = std::byte{'\n'};
                        for (int count = 0; count < 9; ++count) client.send(wire::copy_data(row));
                        return joined({wire::error_response("XX001", "invalid page in block 3"), wire::ready_for_query('E')});
                      }}});
  const Error error = failure_of(task_of(server, {RowFormat::kText, RowFormat::kText}));
  EXPECT_STREQ(error.code(), "page_damaged");
  EXPECT_EQ(error.object, "public.table 1");
  EXPECT_EQ(error.pg.sqlstate, "XX001");
}

TEST_P(CopyOutTest, ACutConnectionLeavesNothing) {
  Random random(124);
  CopyServer server({{"COPY 0", [](ScriptedClient& client) -> Bytes {
                        client.send(wire::copy_out_response(RowFormat::kText));
                        Bytes row(kMiB / 2, std::byte{'x'});
                        row.back() = std::byte{'\n'};
                        for (int count = 0; count < 9; ++count) client.send(wire::copy_data(row));
                        throw ClientGone();
                      }}});
  EXPECT_STREQ(failure_of(task_of(server, {RowFormat::kText})).code(), "connection_lost");
}

TEST_P(CopyOutTest, AStopLeavesNothingAndCancelsAtTheServer) {
  CopyServer server({{"COPY 0", endless()}});
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(300));
    stop_.request();
  });
  const auto begin = Clock::now();
  EXPECT_STREQ(failure_of(task_of(server, {RowFormat::kText})).code(), "cancelled");
  EXPECT_LT(Clock::now() - begin, seconds(3));
  EXPECT_EQ(server.cancel_requests(), 1);
}

TEST_P(CopyOutTest, AStopWhileTheServerIsSilentLeavesNothing) {
  CopyServer server({{"COPY 0", [](ScriptedClient& client) -> Bytes {
                        client.send(joined({wire::copy_out_response(RowFormat::kText), wire::copy_data(bytes_of("1\n"))}));
                        client.wait_for_end();
                        return {};
                      }}});
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop_.request();
  });
  EXPECT_STREQ(failure_of(task_of(server, {RowFormat::kText})).code(), "cancelled");
}

TEST_P(CopyOutTest, AFullDiskEndsAnEndlessTaskAndLeavesNothing) {
  CopyServer server({{"COPY 0", [](ScriptedClient& client) -> Bytes {
                        client.send(joined({wire::copy_out_response(RowFormat::kBinary), wire::copy_data(binary_header())}));
                        Random random(125);
                        for (;;) client.send(wire::copy_data(binary_row({random.bytes(300000)})));
                      }}});
  const FileSizeLimit limit(kMiB / 2);
  const Error error = failure_of(task_of(server, {RowFormat::kBinary}));
  EXPECT_STREQ(error.code(), "disk_full");
  EXPECT_FALSE(error.path.empty());
}

TEST_P(CopyOutTest, ANameThatIsTakenFailsTheTask) {
  CopyServer server({{"COPY 0", CopyServer::rows({RowFormat::kText, {bytes_of("1\n")}})}});
  const std::string taken = "t000001-a1-p001" + extension_of(GetParam());
  write_file(directory_.file(taken), bytes_of("of an earlier run"));
  EXPECT_EQ(code_of([&] { run_copy_out(task_of(server, {RowFormat::kText}), *worker_); }), "io_error");
  EXPECT_EQ(directory_.names(), std::vector<std::string>{taken});
  EXPECT_EQ(text_of(read_file(directory_.file(taken))), "of an earlier run");
}

TEST_P(CopyOutTest, AnEncodersErrorFailsTheTask) {
  if (GetParam() != Codec::kGzip) return;  // Only gzip has a level that its library refuses.
  Random random(126);
  CopyServer server({{"COPY 0", endless()}});
  CopyOutTask task = task_of(server, {RowFormat::kText});
  task.sink->level = 99;
  EXPECT_STREQ(failure_of(task).code(), "internal");
}

INSTANTIATE_TEST_SUITE_P(Codecs, CopyOutTest, testing::ValuesIn(kCodecs), [](const auto& codec) { return name_of(codec.param); });

}  // namespace

}  // namespace dbbackup::test
