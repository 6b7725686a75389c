#include "pg/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "pg/init.h"
#include "support/database.h"
#include "support/errors.h"
#include "support/scripted_server.h"
#include "support/wire_messages.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

/// A socket that takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_.file(".s.PGSQL.5432");
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 4), 0);
  }
  ConnectionSpec connection(const char* timeout) const {
    return {{"host", "port", "user", "dbname", "connect_timeout"}, {directory_.path(), "5432", "reader", "sample", timeout}};
  }

 private:
  TemporaryDirectory directory_;
  UniqueFd listener_;
};

TEST(Connection, FailsWhereNoServerIs) {
  const TemporaryDirectory directory;
  const Stop stop;
  EXPECT_EQ(code_of([&] {
              Connection({{"host", "port", "user", "dbname"}, {directory.path(), "5432", "reader", "sample"}}, stop);
            }),
            "connection_failed");
}

TEST(Connection, AConnectionStringThatIsNoneStaysSecret) {
  const Stop stop;
  for (const char* const text : {"postgresql://user:hidden-word@[broken", "host=x password=hidden-word word", "password='hidden-word",
                                 "postgresql://user:hidden-word@host/db?x=y"}) {
    const std::optional<Error> error = error_of([&] { Connection({{"dbname"}, {text}}, stop); });
    ASSERT_TRUE(error) << text;
    EXPECT_STREQ(error->code(), "usage") << text;
    EXPECT_EQ(error->message().find("word"), std::string::npos) << error->message();
  }
}

TEST(Connection, FindsTheDatabaseInWhatNamesIt) {
  EXPECT_EQ(database_of("sample"), "sample");
  EXPECT_EQ(database_of(""), "");
  EXPECT_EQ(database_of("postgresql://host/sample"), "sample");
  EXPECT_EQ(database_of("postgres://host"), "");
  EXPECT_EQ(database_of("host=x dbname='a b'"), "a b");
  EXPECT_EQ(code_of([] {
              database_of(
                  "host"
                  " = ");
            }),
            "none");
  EXPECT_EQ(code_of([] { database_of("a=b"); }), "usage");
}

TEST(Connection, GivesUpAfterConnectTimeout) {
  const SilentServer server;
  const Stop stop;
  const auto begin = Clock::now();
  // One second counts as two, as in libpq.
  EXPECT_EQ(code_of([&] { Connection(server.connection("1"), stop); }), "connection_failed");
  EXPECT_GE(Clock::now() - begin, milliseconds(1900));
  EXPECT_LT(Clock::now() - begin, seconds(10));
}

TEST(Connection, AStopEndsTheAttempt) {
  const SilentServer server;
  Stop stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(30));
    stop.request();
  });
  EXPECT_EQ(code_of([&] { Connection(server.connection("0"), stop); }), "cancelled");
}

TEST(Connection, SortsRefusalsByTheirText) {
  // ScriptedServer answers the start-up itself; a refusal comes before that, so this one is a bare socket.
  const std::pair<const char*, const char*> refusals[] = {
      {"password authentication failed for user \"reader\"", "authentication_failed"},
      {"no pg_hba.conf entry for host \"[local]\"", "authentication_failed"},
      {"role \"reader\" does not exist", "authentication_failed"},
      {"database \"sample\" does not exist", "database_not_found"},
      {"permission denied for database \"sample\"", "permission_denied"},
      {"sorry, too many clients already", "connection_failed"},
      {"the database system is starting up", "connection_failed"},
  };
  for (const auto& [text, code] : refusals) {
    const TemporaryDirectory directory;
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    directory.file(".s.PGSQL.5432").copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    std::jthread server([&] {
      const UniqueFd client(::accept(listener.get(), nullptr, nullptr));
      char startup[1000];
      const Bytes refusal = wire::report('E', "FATAL", "00000", text);
      EXPECT_GT(::recv(client.get(), startup, sizeof startup, 0), 0);
      EXPECT_EQ(::send(client.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL), static_cast<ssize_t>(refusal.size()));
    });
    const Stop stop;
    const ConnectionSpec spec{{"host", "port", "user", "dbname"}, {directory.path(), "5432", "reader", "sample"}};
    const std::optional<Error> error = error_of([&] { Connection(spec, stop); });
    ASSERT_TRUE(error);
    EXPECT_STREQ(error->code(), code) << error->message();
    EXPECT_NE(error->message().find(text), std::string::npos);
  }
}

TEST(Connection, ThrowsTheFirstErrorAndGoesOn) {
  const ScriptedServer server([](ScriptedClient& client) {
    client.expect_query();
    client.send(
        joined({wire::command_complete("BEGIN"), wire::error_response("55P03", "could not obtain lock"), wire::ready_for_query('E')}));
    client.expect_query();
    client.send(joined({wire::command_complete("ROLLBACK"), wire::ready_for_query()}));
    client.wait_for_end();
  });
  const Stop stop;
  Connection connection(server.connection(), stop);
  EXPECT_EQ(code_of([&] { connection.execute("BEGIN; LOCK TABLE t NOWAIT"); }), "lock_not_available");
  EXPECT_EQ(connection.query("ROLLBACK").command, "ROLLBACK");
}

TEST(Connection, IsLostWhereTheServerGoes) {
  const ScriptedServer server([](ScriptedClient& client) {
    if (client.expect_query() == "SELECT 1") return;
    client.send(wire::report('E', "FATAL", "57P01", "terminating connection due to administrator command"));
  });
  const Stop stop;
  for (const char* const sql : {"SELECT 1", "SELECT 2"}) {
    Connection connection(server.connection(), stop);
    EXPECT_EQ(code_of([&] { connection.execute(sql); }), "connection_lost");
    EXPECT_EQ(code_of([&] { connection.execute(sql); }), "connection_lost");
  }
}

TEST(Connection, RefusesToStartACopy) {
  const ScriptedServer server([](ScriptedClient& client) {
    client.expect_query();
    client.send(wire::copy_out_response(RowFormat::kText));
    client.wait_for_end();
  });
  const Stop stop;
  Connection connection(server.connection(), stop);
  EXPECT_EQ(code_of([&] { connection.execute("COPY t TO STDOUT"); }), "protocol_violation");
}

TEST(Connection, AStopEndsAQueryAndCancelReachesTheServer) {
  const ScriptedServer server([](ScriptedClient& client) {
    client.expect_query();
    client.wait_for_end();
  });
  Stop stop;
  Connection connection(server.connection(), stop);
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(30));
    stop.request();
  });
  EXPECT_EQ(code_of([&] { connection.execute("SELECT pg_sleep(1000)"); }), "cancelled");
  connection.cancel();
  EXPECT_EQ(server.cancel_requests(), 1);
  EXPECT_EQ(code_of([&] { connection.execute("SELECT 1"); }), "cancelled");
}

TEST(Connection, ACancelRequestThatNobodyAnswersHoldsUpNobody) {
  ScriptedServer server([](ScriptedClient& client) { client.wait_for_end(); });
  server.be_deaf_to_cancel_requests();
  const Stop stop;
  Connection connection(server.connection(), stop);
  const auto begin = Clock::now();
  connection.cancel();
  EXPECT_LT(Clock::now() - begin, seconds(2));
  EXPECT_EQ(server.cancel_requests(), 1);
}

TEST(Connection, KeepsSecretsToItself) {
  const ScriptedServer server([](ScriptedClient& client) { client.wait_for_end(); });
  const Stop stop;
  ConnectionSpec spec = server.connection();
  spec.keywords.emplace_back("password");
  spec.values.emplace_back("hidden-word");
  Connection connection(spec, stop);
  for (const auto& [keyword, value] : connection.options()) EXPECT_EQ(value.find("hidden"), std::string::npos) << keyword;
  EXPECT_EQ(connection.password(), std::nullopt) << "it was not asked for";
  EXPECT_EQ(connection.user(), "reader");
  EXPECT_EQ(connection.database(), "sample");
  EXPECT_EQ(connection.server_version(), 150000);
  EXPECT_FALSE(connection.is_tls());
}

TEST(Connection, TalksToAServer) {
  DBBACKUP_NEED_DATABASE(spec);
  init_libraries();
  const Stop stop;
  Connection connection(*spec, stop);
  const QueryResult result = connection.query("SELECT 1 AS one, NULL AS none, '' AS empty UNION ALL SELECT 2, 'x', 'y' ORDER BY 1");
  EXPECT_EQ(result.columns, (std::vector<std::string>{"one", "none", "empty"}));
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[0], (std::vector<std::optional<std::string>>{"1", std::nullopt, ""}));
  EXPECT_EQ(result.command, "SELECT 2");
  EXPECT_EQ(connection.query("SELECT $1::text, $2::int", {"it's", std::nullopt}).rows[0],
            (std::vector<std::optional<std::string>>{"it's", std::nullopt}));
  EXPECT_EQ(connection.query_value("SELECT 'a' WHERE false"), std::nullopt);
  EXPECT_EQ(connection.query("").command, "");
  EXPECT_EQ(connection.query("SELECT 1; SET application_name = 'x'").command, "SET");
  const std::optional<Error> error = error_of([&] { connection.execute("SELECT * FROM no_such_table"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->pg.sqlstate, "42P01");
  EXPECT_EQ(error->pg.position, "15");
  connection.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$");
  const std::vector<std::string> notices = connection.take_notices();
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("careful"), std::string::npos);
}

TEST(Connection, CancelsAQueryOnAServer) {
  DBBACKUP_NEED_DATABASE(spec);
  Stop stop;
  Connection connection(*spec, stop);
  const Stop other_stop;
  Connection watcher(*spec, other_stop);
  const std::string active =
      "SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(connection.backend_pid()) + " AND state = 'active'";
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop.request();
  });
  EXPECT_EQ(code_of([&] { connection.execute("SELECT pg_sleep(1000)"); }), "cancelled");
  EXPECT_EQ(watcher.query_value(active), "1");
  connection.cancel();
  for (int attempt = 0; attempt < 100 && watcher.query_value(active) != "0"; ++attempt) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(watcher.query_value(active), "0");
}

}  // namespace

}  // namespace dbbackup::test
