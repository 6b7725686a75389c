#include "pipeline/scheduler.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>

#include "pipeline/encoder_pool.h"
#include "support/copy_server.h"
#include "support/database.h"
#include "support/errors.h"
#include "support/segments.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::future<Outcome> submit(Scheduler& scheduler, std::int64_t id, std::variant<CopyOutTask, CopyInTask, CheckTask> body) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  auto future = promise->get_future();
  scheduler.submit({id, std::move(body)}, [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
  return future;
}

Outcome get(std::future<Outcome> future) {
  if (future.wait_for(seconds(60)) != std::future_status::ready) throw std::runtime_error("no outcome");
  return future.get();
}

std::string code_of_outcome(const Outcome& outcome) { return outcome.error ? outcome.error->code() : "none"; }

CopyOutTask copy_out(const ConnectionSpec& connection, const std::string& key, const std::string& sql, RowFormat format,
                     const std::string& directory, const std::string& stem) {
  CopyOutTask task;
  task.session = {key, connection, {}};
  CopyOutSource source;
  source.name = sql;
  source.copy_sql = sql;
  source.format = format;
  task.sources.push_back(std::move(source));
  if (directory.empty()) return task;
  task.sink.emplace();
  task.sink->directory = directory;
  task.sink->stem = stem;
  task.sink->extension = ".zst";
  task.sink->max_stored_bytes = std::uint64_t{1} << 30;
  return task;
}

CopyServer::Answer endless() {
  return [](ScriptedClient& client) -> Bytes {
    client.send(wire::copy_out_response(RowFormat::kText));
    Bytes rows;
    for (int count = 0; count < 3000; ++count) append(rows, wire::copy_data(bytes_of("some row of some table\n")));
    for (;;) client.send(rows);
  };
}

TEST(Scheduler, RefusesImpossibleOptions) {
  for (const EngineOptions& options : {EngineOptions{0, 1, 4}, EngineOptions{1, 0, 4}, EngineOptions{1, 1, 3}, EngineOptions{257, 1, 4},
                                       EngineOptions{-1, 1, 4}, EngineOptions{1, 1, 5000}}) {
    EXPECT_EQ(code_of([&] { Scheduler scheduler(options); }), "usage");
  }
  for (int round = 0; round < 20; ++round) Scheduler scheduler({4, 2, 4});
}

TEST(Scheduler, RunsManyTasksOnFewWorkers) {
  Random random(151);
  std::map<std::string, CopyServer::Answer> answers;
  std::vector<CopyData> tables;
  for (int table = 0; table < 8; ++table) {
    tables.push_back(random_copy_data(random, table % 2 == 0 ? RowFormat::kText : RowFormat::kBinary, 4000, 300));
    answers["COPY " + std::to_string(table)] = CopyServer::rows(tables.back());
  }
  answers["COPY broken"] = CopyServer::fails("42P01", "no such table");
  CopyServer server(answers);
  const TemporaryDirectory directory;
  Scheduler scheduler({3, 2, 4});
  std::vector<std::future<Outcome>> outcomes;
  std::uint64_t raw_bytes = 0, rows = 0;
  for (int id = 0; id < 40; ++id) {
    const bool is_broken = id % 9 == 8;
    const int table = id % 8;
    const std::string sql = is_broken ? "COPY broken" : "COPY " + std::to_string(table);
    outcomes.push_back(submit(scheduler, id,
                              copy_out(server.connection(), id < 20 ? "a" : "b", sql, tables[static_cast<std::size_t>(table)].format,
                                       directory.path(), "t" + std::to_string(id))));
    if (is_broken) continue;
    raw_bytes += tables[static_cast<std::size_t>(table)].raw().size();
    rows += tables[static_cast<std::size_t>(table)].rows.size();
  }
  std::atomic<bool> is_done{false};
  std::jthread watcher([&] {
    std::uint64_t last = 0;
    while (!is_done) {
      const EngineStats stats = scheduler.stats();
      EXPECT_GE(stats.raw_bytes, last);
      EXPECT_LE(stats.workers.size(), 3u);
      last = stats.raw_bytes;
      std::this_thread::sleep_for(milliseconds(2));
    }
  });
  for (std::size_t id = 0; id < outcomes.size(); ++id) {
    const Outcome outcome = get(std::move(outcomes[id]));
    EXPECT_EQ(outcome.result.task_id, static_cast<std::int64_t>(id));
    EXPECT_EQ(code_of_outcome(outcome), id % 9 == 8 ? "server_error" : "none");
    EXPECT_GT(outcome.result.elapsed_ms, 0);
    if (outcome.error) continue;
    EXPECT_EQ(outcome.result.segments.at(0).digest, tables[id % 8].digest());
    const RowFormat format = tables[id % 8].format;
    const Outcome checked =
        get(submit(scheduler, 1000, check_of(directory.path(), outcome.result, 0, Codec::kZstd, Checksum::kXxh3, {format})));
    EXPECT_EQ(code_of_outcome(checked), "none");
    EXPECT_TRUE(checked.result.findings.empty());
  }
  is_done = true;
  watcher.join();
  const EngineStats stats = scheduler.stats();
  EXPECT_TRUE(stats.workers.empty());
  EXPECT_GE(stats.raw_bytes, 2 * raw_bytes) << "each task's bytes were read twice: once to write, once to check";
  EXPECT_EQ(stats.row_count, 2 * rows);
}

TEST(Scheduler, AStopEndsWhatRunsAndWhatWaits) {
  CopyServer server({{"COPY endless", endless()}});
  const TemporaryDirectory directory;
  Scheduler scheduler({2, 1, 4});
  std::vector<std::future<Outcome>> outcomes;
  for (int id = 0; id < 6; ++id) {
    const bool is_digest_only = id % 2 == 1;
    outcomes.push_back(submit(scheduler, id,
                              copy_out(server.connection(), "k", "COPY endless", RowFormat::kText, is_digest_only ? "" : directory.path(),
                                       "t" + std::to_string(id))));
  }
  const auto are_both_reading = [&] {
    const EngineStats stats = scheduler.stats();
    return stats.workers.size() == 2 && stats.workers[0].raw_bytes > 2000000 && stats.workers[1].raw_bytes > 2000000;
  };
  while (!are_both_reading()) std::this_thread::sleep_for(milliseconds(5));
  const auto begin = std::chrono::steady_clock::now();
  scheduler.stop();
  for (auto& outcome : outcomes) EXPECT_EQ(code_of_outcome(get(std::move(outcome))), "cancelled");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  EXPECT_EQ(directory.names(), std::vector<std::string>());
  EXPECT_EQ(code_of_outcome(get(submit(scheduler, 9, CheckTask{}))), "cancelled");
  EXPECT_EQ(server.cancel_requests(), 2);
}

TEST(Scheduler, ATaskIsProbedAndSeveredAlone) {
  CopyServer server({{"COPY endless", endless()}, {"COPY silent", [](ScriptedClient& client) -> Bytes {
                                                     client.send(wire::copy_out_response(RowFormat::kText));
                                                     client.wait_for_end();
                                                     throw ClientGone();
                                                   }}});
  const TemporaryDirectory directory;
  Scheduler scheduler({2, 1, 4});
  EXPECT_FALSE(scheduler.probe(1).has_value());
  EXPECT_FALSE(scheduler.sever(1));
  auto silent = submit(scheduler, 1, copy_out(server.connection(), "a", "COPY silent", RowFormat::kText, directory.path(), "t1"));
  auto busy = submit(scheduler, 2, copy_out(server.connection(), "b", "COPY endless", RowFormat::kText, directory.path(), "t2"));
  while (scheduler.stats().raw_bytes < 1000000 || !scheduler.probe(1)) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(scheduler.probe(1)->unread_bytes, 0);
  EXPECT_FALSE(scheduler.sever(3));
  while (!scheduler.sever(1)) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(code_of_outcome(get(std::move(silent))), "connection_lost");
  EXPECT_EQ(scheduler.stats().workers.size(), 1u) << "the other task runs on";
  scheduler.stop();
  EXPECT_EQ(code_of_outcome(get(std::move(busy))), "cancelled");
  EXPECT_EQ(directory.names(), std::vector<std::string>());
}

TEST(Scheduler, ItsEndCompletesEverything) {
  CopyServer server({{"COPY endless", endless()}});
  const TemporaryDirectory directory;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::future<Outcome>> outcomes;
    {
      Scheduler scheduler({3, 2, 4});
      for (int id = 0; id < 7; ++id) {
        outcomes.push_back(submit(scheduler, id,
                                  copy_out(server.connection(), "k", "COPY endless", RowFormat::kText, directory.path(),
                                           std::to_string(round) + "-" + std::to_string(id))));
      }
      if (round % 3 != 0) std::this_thread::sleep_for(milliseconds(5 * round));
    }
    for (auto& outcome : outcomes) {
      ASSERT_EQ(outcome.wait_for(seconds(0)), std::future_status::ready);
      EXPECT_EQ(code_of_outcome(outcome.get()), "cancelled");
    }
  }
  EXPECT_EQ(directory.names(), std::vector<std::string>());
}

TEST(Scheduler, ATaskWithoutAServerFails) {
  const TemporaryDirectory directory;
  Scheduler scheduler({1, 1, 4});
  const ConnectionSpec nowhere{{"host", "port", "user", "dbname"}, {directory.path(), "5432", "reader", "sample"}};
  EXPECT_EQ(code_of_outcome(get(submit(scheduler, 1, copy_out(nowhere, "k", "COPY t", RowFormat::kText, "", "")))), "connection_failed");
  EXPECT_EQ(code_of_outcome(get(submit(scheduler, 2, CheckTask{}))), "none");
}

/// Runs `work` in a process of its own that may have `threads` threads; gives its exit status.
template <typename Work>
int status_with_threads(rlim_t threads, Work work) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    // A user of its own number, whose threads are these alone; root knows no such limit.
    constexpr uid_t kUser = 54321;
    const rlimit limit{threads, threads};
    if (::setresgid(kUser, kUser, kUser) != 0 || ::setresuid(kUser, kUser, kUser) != 0 || ::setrlimit(RLIMIT_NPROC, &limit) != 0)
      ::_exit(99);
    ::alarm(20);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Scheduler, AThreadThatCannotStartIsAnErrorAndNoDeadlock) {
  if (::getuid() != 0) GTEST_SKIP() << "only root may become a user without other threads";
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer ends the process where a thread cannot start";
#endif
  for (rlim_t threads = 2; threads < 12; ++threads) {
    const int status = status_with_threads(threads, [] {
      try {
        const EncoderPool encoders(3);
        Scheduler scheduler({3, 2, 4});
        return 1;
      } catch (const std::exception&) {
        return 0;
      }
    });
    EXPECT_LE(status, 1) << "with " << threads << " threads";
  }
}

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    DBBACKUP_NEED_DATABASE(spec);
    spec_ = *spec;
    admin_.emplace(spec_, stop_);
    schema_ = "dbbackup_native_" + std::to_string(::getpid());
    admin_->execute("DROP SCHEMA IF EXISTS " + schema_ + " CASCADE; CREATE SCHEMA " + schema_);
    admin_->execute("CREATE TABLE " + schema_ +
                    ".source AS SELECT i AS id, md5(i::text) AS name, CASE WHEN i % 7 = 0 THEN NULL ELSE decode(repeat(md5(i::text), i % "
                    "50), 'hex') END AS data, now() + i * interval '1 s' AS at "
                    "FROM generate_series(1, 10000) i");
    admin_->execute("INSERT INTO " + schema_ +
                    ".source SELECT -i, 'large', decode(repeat(md5(i::text), 100000 * i), 'hex'), NULL FROM generate_series(1, 2) i");
    admin_->execute("CREATE TABLE " + schema_ + ".target (LIKE " + schema_ + ".source)");
    admin_->execute("CREATE TABLE " + schema_ + ".no_columns (); INSERT INTO " + schema_ +
                    ".no_columns SELECT FROM generate_series(1, 1000)");
  }
  void TearDown() override {
    if (admin_) admin_->execute("DROP SCHEMA " + schema_ + " CASCADE");
  }

  /// Copies out, checks, copies in, and compares by a query of the server.
  void round_trip(const ConnectionSpec& spec, RowFormat format) {
    const std::string options = format == RowFormat::kBinary ? " (FORMAT binary)" : "";
    Scheduler scheduler({2, 2, 4});
    const Outcome out = get(submit(scheduler, 1,
                                   copy_out(spec, "out", "COPY " + schema_ + ".source TO STDOUT" + options, format, directory_.path(),
                                            format == RowFormat::kBinary ? "b" : "t")));
    ASSERT_FALSE(out.error) << out.error->message();
    EXPECT_EQ(out.result.row_count, 10002u);
    const CheckTask check = check_of(directory_.path(), out.result, 0, Codec::kZstd, Checksum::kXxh3, {format});
    const Outcome checked = get(submit(scheduler, 2, check));
    ASSERT_FALSE(checked.error);
    EXPECT_TRUE(checked.result.findings.empty());

    CopyInTask in;
    in.session = {"in", spec, {}};
    CopyInSegment segment;
    static_cast<SegmentSpec&>(segment) = check.segments.at(0);
    segment.path = check.path;
    segment.begin_sql = {"BEGIN", "TRUNCATE " + schema_ + ".target"};
    segment.copy_sql = "COPY " + schema_ + ".target FROM STDIN" + options;
    segment.end_sql = {"COMMIT"};
    in.segments.push_back(segment);
    const Outcome loaded = get(submit(scheduler, 3, in));
    ASSERT_FALSE(loaded.error) << loaded.error->message();
    EXPECT_EQ(admin_->query_value("SELECT count(*) FROM (SELECT * FROM " + schema_ + ".source EXCEPT ALL SELECT * FROM " + schema_ +
                                  ".target) d"),
              "0");
    EXPECT_EQ(admin_->query_value("SELECT count(*) FROM " + schema_ + ".target"), "10002");
  }

  ConnectionSpec spec_;
  Stop stop_;
  std::optional<Connection> admin_;
  std::string schema_;
  TemporaryDirectory directory_;
};

TEST_F(ServerTest, RowsComeBackAsTheyWere) {
  round_trip(spec_, RowFormat::kBinary);
  round_trip(spec_, RowFormat::kText);
}

TEST_F(ServerTest, RowsComeBackAsTheyWereThroughTls) {
  const char* const ca = std::getenv("DBBACKUP_TEST_CA");
  if (ca == nullptr) GTEST_SKIP() << "DBBACKUP_TEST_CA names no certificate";
  ConnectionSpec spec = spec_;
  for (const auto& [keyword, value] : std::vector<std::pair<std::string, std::string>>{
           {"host", "localhost"}, {"hostaddr", "127.0.0.1"}, {"sslmode", "verify-full"}, {"sslrootcert", ca}}) {
    spec.keywords.push_back(keyword);
    spec.values.push_back(value);
  }
  ASSERT_TRUE(Connection(spec, stop_).is_tls());
  round_trip(spec, RowFormat::kBinary);
  round_trip(spec, RowFormat::kText);
}

TEST_F(ServerTest, ATableWithoutColumnsHasRows) {
  Scheduler scheduler({1, 1, 4});
  for (const char* const options : {"", " (FORMAT binary)"}) {
    const RowFormat format = *options == '\0' ? RowFormat::kText : RowFormat::kBinary;
    const Outcome out = get(submit(scheduler, 1,
                                   copy_out(spec_, "k", "COPY " + schema_ + ".no_columns TO STDOUT" + options, format, directory_.path(),
                                            *options == '\0' ? "t" : "b")));
    ASSERT_FALSE(out.error) << out.error->message();
    EXPECT_EQ(out.result.row_count, 1000u);
    EXPECT_TRUE(get(submit(scheduler, 2, check_of(directory_.path(), out.result, 0, Codec::kZstd, Checksum::kXxh3, {format})))
                    .result.findings.empty());
  }
}

TEST_F(ServerTest, ErrorsOfAServerHaveTheirCodes) {
  Scheduler scheduler({1, 1, 4});
  const auto code_for = [&](const std::string& sql) {
    return code_of_outcome(get(submit(scheduler, 1, copy_out(spec_, "k", sql, RowFormat::kText, "", ""))));
  };
  EXPECT_EQ(code_for("COPY no_such_table TO STDOUT"), "server_error");
  EXPECT_EQ(code_for("COPY (SELECT 1/(i - 500000) FROM generate_series(1, 1000000) i) TO STDOUT"), "server_error");
  EXPECT_EQ(code_for("COPY (SELECT pg_terminate_backend(pg_backend_pid())) TO STDOUT"), "connection_lost");
  EXPECT_EQ(code_for("SELECT 1"), "protocol_violation");
  EXPECT_EQ(code_for("COPY (SELECT 1) TO STDOUT"), "none") << "the worker connects anew after an error";
}

TEST_F(ServerTest, AStopEndsTheQueryAtTheServer) {
  std::optional<Scheduler> scheduler(std::in_place, EngineOptions{1, 1, 4});
  const std::string mark = "sleeper_" + schema_;
  auto outcome =
      submit(*scheduler, 1, copy_out(spec_, "k", "COPY (SELECT pg_sleep(1000) AS " + mark + ") TO STDOUT", RowFormat::kText, "", ""));
  const std::string active =
      "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%" + mark + "%' AND state = 'active' AND pid <> pg_backend_pid()";
  for (int attempt = 0; attempt < 500 && admin_->query_value(active) != "1"; ++attempt) std::this_thread::sleep_for(milliseconds(10));
  const auto begin = std::chrono::steady_clock::now();
  scheduler->stop();
  EXPECT_EQ(code_of_outcome(get(std::move(outcome))), "cancelled");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  for (int attempt = 0; attempt < 200 && admin_->query_value(active) != "0"; ++attempt) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(admin_->query_value(active), "0");
}

}  // namespace

}  // namespace dbbackup::test
