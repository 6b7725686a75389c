#include "pg/copy_writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/errors.h"
#include "support/random.h"
#include "support/scripted_server.h"
#include "support/wire_messages.h"

namespace dbbackup::test {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kMostMessageBytes = std::size_t{256} << 10;

enum class Way { kPlain, kTls };

/// How GoogleTest prints a parameter, and names the tests with it.
void PrintTo(Way way, std::ostream* out) { *out << (way == Way::kPlain ? "plain" : "tls"); }
std::string name_of(const testing::TestParamInfo<Way>& info) { return testing::PrintToString(info.param); }

class CopyWriterTest : public testing::TestWithParam<Way> {
 protected:
  static ScriptedServer::Encryption encryption() {
    return GetParam() == Way::kTls ? ScriptedServer::Encryption::kTls : ScriptedServer::Encryption::kNone;
  }

  /// Takes CopyData until CopyDone; gives the rows' bytes.
  static Bytes receive_rows(ScriptedClient& client) {
    Bytes rows;
    for (;;) {
      const auto [type, body] = client.receive();
      if (type == 'c') return rows;
      if (type == 'X') throw ClientGone();
      EXPECT_EQ(type, 'd');
      EXPECT_LE(body.size(), kMostMessageBytes);
      append(rows, body);
    }
  }

  static Bytes finish(const char* tag) { return joined({wire::command_complete(tag), wire::ready_for_query()}); }
};

TEST_P(CopyWriterTest, SendsWhatItIsGiven) {
  Random random(71);
  const Bytes rows = random.bytes(3 * kMiB + 17);
  Bytes received;
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        for (int round = 0; round < 2; ++round) {
          EXPECT_EQ(client.expect_query(), "COPY t FROM STDIN");
          client.send(wire::copy_in_response(RowFormat::kBinary));
          received = receive_rows(client);
          client.send(finish("COPY 12345678901"));
        }
        client.wait_for_end();
      },
      encryption());
  Stop stop;
  Connection connection(server.connection(), stop);
  for (int round = 0; round < 2; ++round) {
    CopyWriter writer(connection, "COPY t FROM STDIN");
    std::span<const std::byte> left(rows);
    while (!left.empty()) {
      const std::size_t size = std::min(left.size(), 1 + random.below(kMiB));
      writer.write(left.first(size));
      left = left.subspan(size);
    }
    EXPECT_EQ(writer.finish(), 12345678901u);
    EXPECT_TRUE(received == rows);
  }
}

TEST_P(CopyWriterTest, NeitherSideWaitsForTheOther) {
  // The server reports for every row before it reads the next, as triggers may: whoever did not read meanwhile would wait for ever.
  const Bytes rows(8 * kMiB, std::byte{'x'});
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        client.expect_query();
        client.send(wire::copy_in_response(RowFormat::kText));
        const Bytes notice = wire::notice(std::string(1000, 'n'));
        for (int count = 0; count < 4000; ++count) client.send(notice);
        receive_rows(client);
        client.send(finish("COPY 1"));
        client.wait_for_end();
      },
      encryption());
  Stop stop;
  Connection connection(server.connection(), stop);
  CopyWriter writer(connection, "COPY t FROM STDIN");
  writer.write(rows);
  EXPECT_EQ(writer.finish(), 1u);
  EXPECT_EQ(connection.take_notices().size(), 100u);
  EXPECT_TRUE(connection.take_notices().empty());
}

TEST_P(CopyWriterTest, ThrowsWhyTheCopyDidNotStart) {
  const auto code_after = [&](const Bytes& answer) {
    const ScriptedServer server(
        [&](ScriptedClient& client) {
          client.expect_query();
          client.send(answer);
          client.wait_for_end();
        },
        encryption());
    Stop stop;
    Connection connection(server.connection(), stop);
    return code_of([&] { CopyWriter(connection, "COPY t FROM STDIN"); });
  };
  EXPECT_EQ(code_after(joined({wire::error_response("42P01", "relation \"t\" does not exist"), wire::ready_for_query()})), "server_error");
  EXPECT_EQ(code_after(joined({wire::error_response("42501", "permission denied for table t"), wire::ready_for_query()})),
            "permission_denied");
  EXPECT_EQ(code_after(joined({wire::command_complete("SET"), wire::ready_for_query()})), "protocol_violation");
}

TEST_P(CopyWriterTest, ReportsAFailedRowAtTheEnd) {
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        client.expect_query();
        client.send(wire::copy_in_response(RowFormat::kText));
        client.receive();
        client.send(wire::error_response("22P02", "invalid input syntax for type integer"));
        receive_rows(client);
        client.send(wire::ready_for_query('E'));
        client.wait_for_end();
      },
      encryption());
  Stop stop;
  Connection connection(server.connection(), stop);
  const std::optional<Error> error = error_of([&] {
    CopyWriter writer(connection, "COPY t FROM STDIN");
    for (int count = 0; count < 20; ++count) writer.write(Bytes(kMiB, std::byte{'x'}));
    writer.finish();
  });
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->code(), "server_error");
  EXPECT_EQ(error->pg.sqlstate, "22P02");
}

TEST_P(CopyWriterTest, ACutConnectionIsLost) {
  for (const bool is_after_rows : {false, true}) {
    const ScriptedServer server(
        [&](ScriptedClient& client) {
          client.expect_query();
          client.send(wire::copy_in_response(RowFormat::kText));
          if (is_after_rows) receive_rows(client);
        },
        encryption());
    Stop stop;
    Connection connection(server.connection(), stop);
    EXPECT_EQ(code_of([&] {
                CopyWriter writer(connection, "COPY t FROM STDIN");
                for (int count = 0; count < 20; ++count) writer.write(Bytes(kMiB, std::byte{'x'}));
                writer.finish();
              }),
              "connection_lost");
  }
}

TEST_P(CopyWriterTest, AStopEndsAWaitForAServerThatDoesNotRead) {
  std::atomic<bool> is_over{false};
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        client.expect_query();
        client.send(wire::copy_in_response(RowFormat::kText));
        while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      },
      encryption());
  Stop stop;
  Connection connection(server.connection(), stop);
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop.request();
  });
  EXPECT_EQ(code_of([&] {
              CopyWriter writer(connection, "COPY t FROM STDIN");
              for (;;) writer.write(Bytes(kMiB, std::byte{'x'}));
            }),
            "cancelled");
  is_over = true;
}

TEST_P(CopyWriterTest, WantsARowCount) {
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        client.expect_query();
        client.send(wire::copy_in_response(RowFormat::kText));
        receive_rows(client);
        client.send(finish("COPY"));
        client.wait_for_end();
      },
      encryption());
  Stop stop;
  Connection connection(server.connection(), stop);
  CopyWriter writer(connection, "COPY t FROM STDIN");
  EXPECT_EQ(code_of([&] { writer.finish(); }), "protocol_violation");
}

INSTANTIATE_TEST_SUITE_P(Ways, CopyWriterTest, testing::Values(Way::kPlain, Way::kTls), name_of);

}  // namespace

}  // namespace dbbackup::test
