#include "pipeline/control_session.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "support/copy_server.h"
#include "support/database.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A session whose callbacks fulfil futures.
class Session {
 public:
  explicit Session(const ConnectionSpec& spec)
      : session_(std::in_place, spec, [this](ControlSession::OpenOutcome outcome) { opened_.set_value(std::move(outcome)); }) {}

  ControlSession::OpenOutcome opened() { return get(opened_.get_future()); }
  std::future<ControlSession::QueryOutcome> submit(std::string sql,
                                                   std::optional<std::vector<std::optional<std::string>>> params = std::nullopt) {
    auto promise = std::make_shared<std::promise<ControlSession::QueryOutcome>>();
    session_->query(std::move(sql), std::move(params),
                    [promise](ControlSession::QueryOutcome outcome) { promise->set_value(std::move(outcome)); });
    return promise->get_future();
  }
  template <typename T>
  static T get(std::future<T> future) {
    if (future.wait_for(seconds(20)) != std::future_status::ready) throw std::runtime_error("no outcome");
    return future.get();
  }
  ControlSession::QueryOutcome query(std::string sql, std::optional<std::vector<std::optional<std::string>>> params = std::nullopt) {
    return get(submit(std::move(sql), std::move(params)));
  }
  void stop() { session_->stop(); }
  void close() { session_.reset(); }

 private:
  std::promise<ControlSession::OpenOutcome> opened_;
  std::optional<ControlSession> session_;
};

std::string code_of_outcome(const ControlSession::QueryOutcome& outcome) { return outcome.error ? outcome.error->code() : "none"; }

CopyServer::Answer never() {
  return [](ScriptedClient& client) -> Bytes {
    client.wait_for_end();
    return {};
  };
}

TEST(ControlSession, RunsQueriesInOrder) {
  CopyServer server({{"SELECT", CopyServer::value("v")}, {"broken", CopyServer::fails("42601", "syntax error")}});
  Session session(server.connection());
  const ControlSession::OpenOutcome opened = session.opened();
  ASSERT_FALSE(opened.error);
  EXPECT_EQ(opened.info.server_version, 150000);
  EXPECT_EQ(opened.info.user, "reader");
  EXPECT_EQ(opened.info.client_encoding, "UTF8");
  std::vector<std::future<ControlSession::QueryOutcome>> outcomes;
  for (int round = 0; round < 20; ++round) {
    outcomes.push_back(session.submit("SELECT"));
    outcomes.push_back(session.submit("broken"));
    outcomes.push_back(session.submit("SET " + std::to_string(round)));
  }
  for (std::size_t index = 0; index < outcomes.size(); ++index) {
    const ControlSession::QueryOutcome outcome = Session::get(std::move(outcomes[index]));
    EXPECT_EQ(code_of_outcome(outcome), index % 3 == 1 ? "server_error" : "none");
    if (index % 3 == 0) {
      EXPECT_EQ(outcome.result.rows.at(0).at(0), "v");
    }
  }
  const std::vector<std::string> statements = server.statements();
  ASSERT_EQ(statements.size(), 60u);
  EXPECT_EQ(statements.back(), "SET 19");
}

TEST(ControlSession, ReportsThatItCannotConnect) {
  const TemporaryDirectory directory;
  Session session({{"host", "port", "user", "dbname"}, {directory.path(), "5432", "reader", "sample"}});
  const ControlSession::OpenOutcome opened = session.opened();
  ASSERT_TRUE(opened.error);
  EXPECT_STREQ(opened.error->code(), "connection_failed");
  EXPECT_EQ(code_of_outcome(session.query("SELECT")), "cancelled");
}

TEST(ControlSession, AStopEndsTheRunningQueryAndRefusesTheRest) {
  CopyServer server({{"forever", never()}});
  Session session(server.connection());
  ASSERT_FALSE(session.opened().error);
  auto running = session.submit("forever");
  auto waiting = session.submit("SELECT 1");
  while (server.statements().empty()) std::this_thread::sleep_for(milliseconds(5));
  session.stop();
  EXPECT_EQ(code_of_outcome(Session::get(std::move(running))), "cancelled");
  EXPECT_EQ(code_of_outcome(Session::get(std::move(waiting))), "cancelled");
  EXPECT_EQ(code_of_outcome(session.query("SELECT 2")), "cancelled");
  EXPECT_EQ(server.cancel_requests(), 1);
  EXPECT_EQ(server.statements().size(), 1u);
}

TEST(ControlSession, ItsEndAnswersEverything) {
  CopyServer server({{"forever", never()}});
  for (int round = 0; round < 20; ++round) {
    Session session(server.connection());
    std::vector<std::future<ControlSession::QueryOutcome>> outcomes;
    for (int query = 0; query < 5; ++query) outcomes.push_back(session.submit(query == round % 5 ? "forever" : "SELECT"));
    if (round % 2 == 0) std::this_thread::sleep_for(milliseconds(3));
    session.close();
    for (auto& outcome : outcomes) EXPECT_EQ(outcome.wait_for(seconds(0)), std::future_status::ready);
  }
}

TEST(ControlSession, ALostConnectionIsReportedForEveryQuery) {
  CopyServer server({{"die", [](ScriptedClient&) -> Bytes { throw ClientGone(); }}});
  Session session(server.connection());
  ASSERT_FALSE(session.opened().error);
  EXPECT_EQ(code_of_outcome(session.query("die")), "connection_lost");
  EXPECT_EQ(code_of_outcome(session.query("SELECT")), "connection_lost");
}

TEST(ControlSession, TalksToAServer) {
  DBBACKUP_NEED_DATABASE(spec);
  Session session(*spec);
  const ControlSession::OpenOutcome opened = session.opened();
  ASSERT_FALSE(opened.error) << opened.error->message();
  EXPECT_GE(opened.info.server_version, 140000);
  EXPECT_GT(opened.info.backend_pid, 0);
  EXPECT_EQ(session.query("SELECT $1 || 'b'", std::vector<std::optional<std::string>>{"a"}).result.rows.at(0).at(0), "ab");
  const ControlSession::QueryOutcome warned = session.query("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
  ASSERT_EQ(warned.notices.size(), 1u);
  const ControlSession::QueryOutcome failed = session.query("SELECT 1/0");
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->pg.sqlstate, "22012");
  auto running = session.submit("SELECT pg_sleep(1000)");
  std::this_thread::sleep_for(milliseconds(100));
  const auto begin = std::chrono::steady_clock::now();
  session.stop();
  EXPECT_EQ(code_of_outcome(Session::get(std::move(running))), "cancelled");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
}

}  // namespace

}  // namespace dbbackup::test
