// Against a scripted server, which sends what no real one does, over a Unix socket, TLS and through libpq.
#include "pg/copy_reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "support/copy_data.h"
#include "support/errors.h"
#include "support/scripted_server.h"
#include "support/wire_messages.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
constexpr std::size_t kMiB = std::size_t{1} << 20;

enum class Way { kPlain, kTls, kLibpq };

/// How GoogleTest prints a parameter, and names the tests with it.
void PrintTo(Way way, std::ostream* out) { *out << (way == Way::kPlain ? "plain" : way == Way::kTls ? "tls" : "libpq"); }
std::string name_of(const testing::TestParamInfo<Way>& info) { return testing::PrintToString(info.param); }

ScriptedServer::Encryption encryption_of(Way way) {
  return way == Way::kTls ? ScriptedServer::Encryption::kTls : ScriptedServer::Encryption::kNone;
}

/// The messages of a complete COPY. `is_header_alone`: the header in a message of its own; servers send it with the first row.
Bytes copy_messages(const CopyData& data, bool is_header_alone = false) {
  Bytes all = wire::copy_out_response(data.format);
  std::vector<Bytes> payloads = data.rows;
  if (data.format == RowFormat::kBinary) {
    payloads.emplace_back(binary_trailer().begin(), binary_trailer().end());
    if (is_header_alone) {
      payloads.insert(payloads.begin(), Bytes(binary_header().begin(), binary_header().end()));
    } else {
      payloads.front().insert(payloads.front().begin(), binary_header().begin(), binary_header().end());
    }
  }
  for (const Bytes& payload : payloads) append(all, wire::copy_data(payload));
  append(all, wire::copy_done());
  append(all, wire::command_complete("COPY " + std::to_string(data.rows.size())));
  append(all, wire::ready_for_query());
  return all;
}

/// What a CopyReader delivered.
struct Copied {
  Bytes raw;
  RowDigest digest;
  std::vector<BlockFacts> facts;
  std::vector<std::size_t> sizes;
};

/// An open connection and what a reader needs.
class Client {
 public:
  Client(const ScriptedServer& server, Way way) : way_(way), connection(server.connection(), stop) {}

  Copied copy(RowFormat format) {
    Copied copied;
    BlockPool pool(2);
    Block buffer = pool.acquire({});
    Block block = pool.acquire({});
    CopyReader reader(start_copy_out(connection, "COPY t TO STDOUT", {buffer.data(), std::size_t{64} << 10}, way_ == Way::kLibpq), format);
    for (BlockFacts facts; reader.read(block, facts);) {
      EXPECT_GT(block.size, 0u);
      EXPECT_LE(block.size, kBlockRawBytes);
      append(copied.raw, block.bytes());
      copied.digest.add(facts.digest);
      copied.facts.push_back(facts);
      copied.sizes.push_back(block.size);
    }
    EXPECT_EQ(block.size, 0u);
    return copied;
  }

 private:
  Way way_;

 public:
  Stop stop;
  Connection connection;
};

class CopyReaderTest : public testing::TestWithParam<Way> {
 protected:
  /// Serves `messages` in answer to one query, then cuts the connection; returns the error that the reader ends with.
  static std::optional<Error> error_after(const Bytes& messages, RowFormat format) {
    const ScriptedServer server(
        [&](ScriptedClient& client) {
          client.expect_query();
          client.send(messages);
        },
        encryption_of(GetParam()));
    Client client(server, GetParam());
    return error_of([&] { client.copy(format); });
  }
  static std::string code_after(const Bytes& messages, RowFormat format = RowFormat::kText) {
    const std::optional<Error> error = error_after(messages, format);
    return error ? error->code() : "none";
  }
};

void expect_equal(const Copied& copied, const CopyData& data) {
  EXPECT_TRUE(copied.raw == data.raw()) << copied.raw.size() << " bytes instead of " << data.raw().size();
  EXPECT_EQ(copied.digest, data.digest());
}

TEST_P(CopyReaderTest, ReadsRowsInPiecesOfAnySize) {
  Random random(61);
  for (const RowFormat format : {RowFormat::kText, RowFormat::kBinary}) {
    const CopyData data = random_copy_data(random, format, 40, 60);
    for (const std::size_t most : {std::size_t{1}, std::size_t{3}, std::size_t{200}, std::size_t{100000}}) {
      const ScriptedServer server(
          [&](ScriptedClient& client) {
            EXPECT_EQ(client.expect_query(), "COPY t TO STDOUT");
            Random sizes(most);
            client.send_in_pieces(copy_messages(data, most == 3), [&] { return 1 + sizes.below(most); });
            client.wait_for_end();
          },
          encryption_of(GetParam()));
      Client client(server, GetParam());
      expect_equal(client.copy(format), data);
    }
  }
}

TEST_P(CopyReaderTest, ReadsAStreamCutAtEveryPosition) {
  Random random(62);
  for (const RowFormat format : {RowFormat::kText, RowFormat::kBinary}) {
    const CopyData data = random_copy_data(random, format, 8, 12);
    const Bytes messages = copy_messages(data);
    // One connection for all of them: a finished COPY leaves it idle.
    const ScriptedServer server(
        [&](ScriptedClient& client) {
          for (std::size_t at = 1;; ++at) {
            client.expect_query();
            bool is_first = true;
            client.send_in_pieces(messages, [&] { return std::exchange(is_first, false) ? at : messages.size(); });
          }
        },
        encryption_of(GetParam()));
    Client client(server, GetParam());
    for (std::size_t at = 1; at < messages.size(); ++at) {
      SCOPED_TRACE(at);
      expect_equal(client.copy(format), data);
    }
  }
}

TEST_P(CopyReaderTest, ReadsTablesWithoutRows) {
  for (const RowFormat format : {RowFormat::kText, RowFormat::kBinary}) {
    for (const bool is_header_alone : {false, true}) {
      const ScriptedServer server(
          [&](ScriptedClient& client) {
            client.expect_query();
            client.send(copy_messages({format, {}}, is_header_alone));
            client.wait_for_end();
          },
          encryption_of(GetParam()));
      Client client(server, GetParam());
      const Copied copied = client.copy(format);
      EXPECT_TRUE(copied.sizes.empty());
      EXPECT_EQ(copied.digest, RowDigest());
    }
  }
}

TEST_P(CopyReaderTest, CutsBlocksAtRowEndsExceptInsideLargeRows) {
  Random random(63);
  for (const RowFormat format : {RowFormat::kText, RowFormat::kBinary}) {
    CopyData data{format, {}};
    const auto add_row = [&](std::size_t size) {
      Bytes row;
      if (format == RowFormat::kText) {
        row = Bytes(size - 1, std::byte{'x'});
        row.push_back(std::byte{'\n'});
      } else {
        row = binary_row({random.bytes(size - 6)});
      }
      ASSERT_EQ(row.size(), size);
      data.rows.push_back(std::move(row));
    };
    for (const std::size_t size : {std::size_t{100}, 8 * kMiB, std::size_t{200}, kMiB, kMiB - 1, std::size_t{7}, kMiB + 1, 2 * kMiB,
                                   std::size_t{50}, kMiB / 2, kMiB / 2, kMiB / 2 + 1, kMiB / 2, 3 * kMiB - 2}) {
      add_row(size);
    }
    const ScriptedServer server(
        [&](ScriptedClient& client) {
          client.expect_query();
          Random sizes(64);
          client.send_in_pieces(copy_messages(data), [&] { return 1 + sizes.below(300000); });
          client.wait_for_end();
        },
        encryption_of(GetParam()));
    Client client(server, GetParam());
    const Copied copied = client.copy(format);
    expect_equal(copied, data);

    std::set<std::size_t> row_ends;
    std::size_t end = 0;
    for (const Bytes& row : data.rows) row_ends.insert(end += row.size());
    std::size_t position = 0;
    bool is_inside_row = false;
    for (std::size_t block = 0; block < copied.facts.size(); ++block) {
      const BlockFacts& facts = copied.facts[block];
      EXPECT_EQ(facts.begins_inside_row, is_inside_row) << "block " << block;
      position += copied.sizes[block];
      is_inside_row = facts.ends_inside_row;
      EXPECT_EQ(row_ends.contains(position), !is_inside_row) << "block " << block;
      if (is_inside_row) {
        EXPECT_EQ(copied.sizes[block], kBlockRawBytes) << "only a row that fills blocks may be split";
        EXPECT_EQ(facts.row_bytes_left, *row_ends.upper_bound(position) - position);
      } else {
        EXPECT_EQ(facts.row_bytes_left, 0u);
      }
    }
    EXPECT_FALSE(is_inside_row);
  }
}

TEST_P(CopyReaderTest, PassesOverNoticesAndStatusMessages) {
  Random random(65);
  const CopyData data = random_copy_data(random, RowFormat::kBinary, 20);
  const Bytes chatter = joined({wire::notice("something happened"), wire::parameter_status("TimeZone", "UTC"),
                                wire::message('A', bytes_of({"pid.channel\0payload\0", 20})),
                                wire::report('N', "WARNING", "01000", std::string(100000, 'w'))});
  Bytes messages = joined({chatter, wire::copy_out_response(RowFormat::kBinary)});
  Bytes payload(binary_header().begin(), binary_header().end());
  for (const Bytes& row : data.rows) {
    append(payload, row);
    append(messages, wire::copy_data(payload));
    append(messages, chatter);
    payload.clear();
  }
  append(messages, joined({wire::copy_data(binary_trailer()), chatter, wire::copy_done(), chatter, wire::command_complete("COPY 20"),
                           chatter, wire::ready_for_query()}));
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        client.expect_query();
        Random sizes(66);
        client.send_in_pieces(messages, [&] { return 1 + sizes.below(5000); });
        client.wait_for_end();
      },
      encryption_of(GetParam()));
  Client client(server, GetParam());
  expect_equal(client.copy(RowFormat::kBinary), data);
}

TEST_P(CopyReaderTest, LeavesTheConnectionIdle) {
  const CopyData data{RowFormat::kText, {bytes_of("1\n")}};
  Bytes answer = wire::message('T', bytes_of({"\0\1?\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 22}));
  append(answer, wire::message('D', bytes_of({"\0\1\0\0\0\2ok", 8})));
  append(answer, wire::command_complete("SELECT 1"));
  append(answer, wire::ready_for_query());
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        for (;;) client.send(client.expect_query().starts_with("COPY") ? copy_messages(data) : answer);
      },
      encryption_of(GetParam()));
  Client client(server, GetParam());
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(client.connection.query_value("SELECT 'ok'"), "ok");
    expect_equal(client.copy(RowFormat::kText), data);
  }
}

TEST_P(CopyReaderTest, ThrowsWhatTheServerReports) {
  const Bytes begin = wire::copy_out_response(RowFormat::kText);
  const Bytes row = wire::copy_data(bytes_of("1\tone\n"));
  const Bytes refused = wire::error_response("42501", "permission denied for table t");
  EXPECT_EQ(code_after(joined({refused, wire::ready_for_query('E')})), "permission_denied");
  const std::optional<Error> error = error_after(
      joined({begin, row, wire::error_response("XX001", "invalid page in block 7"), wire::ready_for_query('E')}), RowFormat::kText);
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->code(), "page_damaged");
  EXPECT_EQ(error->message(), "invalid page in block 7");
  EXPECT_EQ(error->pg.sqlstate, "XX001");
  EXPECT_EQ(error->pg.severity, "ERROR");
  EXPECT_EQ(code_after(joined({begin, row, wire::report('E', "FATAL", "57P01", "terminating connection due to administrator command")})),
            "connection_lost");
  EXPECT_EQ(code_after(joined({begin, row, wire::copy_done(), wire::error_response("40001", "too late"), wire::ready_for_query()})),
            "server_error");
}

TEST_P(CopyReaderTest, ACutConnectionIsLostWhereverItIsCut) {
  const Bytes messages = copy_messages({RowFormat::kBinary, {binary_row({bytes_of("some value")}), binary_row({std::nullopt})}});
  for (std::size_t size = 0; size < messages.size(); ++size) {
    EXPECT_EQ(code_after(Bytes(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(size)), RowFormat::kBinary),
              "connection_lost")
        << "after " << size << " bytes";
  }
  EXPECT_EQ(code_after(joined({wire::copy_out_response(RowFormat::kText), wire::message_of_length('d', 0x40000000), Bytes(3000000)})),
            "connection_lost");
}

TEST_P(CopyReaderTest, ProvesThatAllRowsArrived) {
  const Bytes begin = wire::copy_out_response(RowFormat::kText);
  const Bytes rows = joined({wire::copy_data(bytes_of("1\n")), wire::copy_data(bytes_of("2\n"))});
  const auto code_with_tag = [&](const char* tag) {
    return code_after(joined({begin, rows, wire::copy_done(), wire::command_complete(tag), wire::ready_for_query()}));
  };
  EXPECT_EQ(code_with_tag("COPY 2"), "none");
  for (const char* const tag : {"COPY 1", "COPY 3", "COPY", "COPY ", "COPY x", "SELECT 2", ""})
    EXPECT_EQ(code_with_tag(tag), "protocol_violation") << tag;
}

TEST_P(CopyReaderTest, RefusesABinaryStreamThatIsNone) {
  const Bytes begin = wire::copy_out_response(RowFormat::kBinary);
  const Bytes end = joined({wire::copy_done(), wire::command_complete("COPY 1"), wire::ready_for_query()});
  const Bytes header(binary_header().begin(), binary_header().end());
  const Bytes trailer = wire::copy_data(binary_trailer());
  const Bytes row = binary_row({bytes_of("x")});
  Bytes wrong_header = header;
  wrong_header[11] = std::byte{1};
  const auto code_with = [&](const std::vector<Bytes>& parts) {
    return code_after(joined({begin, joined(parts), end}), RowFormat::kBinary);
  };
  EXPECT_EQ(code_with({wire::copy_data(joined({header, row})), trailer}), "none");
  EXPECT_EQ(code_with({wire::copy_data(joined({header, row}))}), "protocol_violation") << "no trailer";
  EXPECT_EQ(code_with({}), "protocol_violation") << "nothing at all";
  EXPECT_EQ(code_with({wire::copy_data(row), trailer}), "protocol_violation") << "no header";
  EXPECT_EQ(code_with({wire::copy_data(joined({wrong_header, row})), trailer}), "protocol_violation") << "another header";
  EXPECT_EQ(code_with({wire::copy_data(header), trailer, wire::copy_data(row)}), "protocol_violation") << "a row after the trailer";
  EXPECT_EQ(code_with({wire::copy_data(header), trailer, trailer}), "protocol_violation") << "two trailers";
}

TEST_P(CopyReaderTest, RefusesRowsThatAreNone) {
  const auto code_with = [&](RowFormat format, const Bytes& payload) {
    Bytes messages = wire::copy_out_response(format);
    if (format == RowFormat::kBinary) append(messages, wire::copy_data(binary_header()));
    append(messages, wire::copy_data(payload));
    if (format == RowFormat::kBinary) append(messages, wire::copy_data(binary_trailer()));
    append(messages, joined({wire::copy_done(), wire::command_complete("COPY 1"), wire::ready_for_query()}));
    return code_after(messages, format);
  };
  EXPECT_EQ(code_with(RowFormat::kText, bytes_of("whole\n")), "none");
  EXPECT_EQ(code_with(RowFormat::kText, bytes_of("no end")), "protocol_violation");
  EXPECT_EQ(code_with(RowFormat::kText, Bytes(kMiB + 5, std::byte{'x'})), "protocol_violation");
  EXPECT_EQ(code_with(RowFormat::kBinary, bytes_of({"\0\0", 2})), "none");
  EXPECT_EQ(code_with(RowFormat::kBinary, bytes_of({"\0", 1})), "protocol_violation");
}

TEST_P(CopyReaderTest, AnotherStatementIsNoCopyOut) {
  const std::string refused = "protocol_violation";
  EXPECT_EQ(code_after(joined({wire::copy_in_response(RowFormat::kText)})), refused);
  EXPECT_EQ(code_after(joined({wire::command_complete("SET"), wire::ready_for_query()})), refused);
  EXPECT_EQ(code_after(joined({wire::message('I'), wire::ready_for_query()})), refused);
}

TEST_P(CopyReaderTest, AStopEndsAWaitForASilentServer) {
  for (const bool is_started : {false, true}) {
    const ScriptedServer server(
        [&](ScriptedClient& client) {
          client.expect_query();
          if (is_started) client.send(joined({wire::copy_out_response(RowFormat::kText), wire::copy_data(bytes_of("1\n"))}));
          client.wait_for_end();
        },
        encryption_of(GetParam()));
    Client client(server, GetParam());
    std::jthread stopper([&] {
      std::this_thread::sleep_for(milliseconds(50));
      client.stop.request();
    });
    const auto begin = Clock::now();
    EXPECT_EQ(code_of([&] { client.copy(RowFormat::kText); }), "cancelled");
    EXPECT_LT(Clock::now() - begin, seconds(2));
  }
}

TEST_P(CopyReaderTest, AStopEndsAReadThatNeverHasToWait) {
  const ScriptedServer server(
      [&](ScriptedClient& client) {
        client.expect_query();
        client.send(wire::copy_out_response(RowFormat::kText));
        Bytes rows;
        while (rows.size() < 100000) append(rows, wire::copy_data(bytes_of("a row\n")));
        for (;;) client.send(rows);
      },
      encryption_of(GetParam()));
  Client client(server, GetParam());
  BlockPool pool(2);
  Block buffer = pool.acquire({});
  Block block = pool.acquire({});
  BlockFacts facts;
  CopyReader reader(
      start_copy_out(client.connection, "COPY t TO STDOUT", {buffer.data(), std::size_t{64} << 10}, GetParam() == Way::kLibpq),
      RowFormat::kText);
  ASSERT_TRUE(reader.read(block, facts));
  std::this_thread::sleep_for(milliseconds(50));
  client.stop.request();
  EXPECT_EQ(code_of([&] {
              for (int blocks = 0; blocks < 3; ++blocks) reader.read(block, facts);
            }),
            "cancelled");
}

INSTANTIATE_TEST_SUITE_P(Ways, CopyReaderTest, testing::Values(Way::kPlain, Way::kTls, Way::kLibpq), name_of);

// libpq judges the messages below itself, and waits where a length is a lie.
class ProtocolTest : public CopyReaderTest {};

TEST_P(ProtocolTest, RefusesMessagesOfImpossibleLength) {
  const Bytes begin = wire::copy_out_response(RowFormat::kText);
  for (const std::uint32_t length : {0u, 1u, 3u, 0x80000000u, 0xfffffff0u, 0xffffffffu}) {
    for (const char type : {'d', 'N', 'E', 'C', 'Z'}) {
      EXPECT_EQ(code_after(joined({begin, wire::message_of_length(type, length)})), "protocol_violation") << type << ' ' << length;
      EXPECT_EQ(code_after(wire::message_of_length(type, length)), "protocol_violation") << type << ' ' << length;
    }
  }
  // Only rows may be large.
  for (const char type : {'N', 'S', 'E'})
    EXPECT_EQ(code_after(joined({begin, wire::message_of_length(type, 50000000)})), "protocol_violation") << type;
}

TEST_P(ProtocolTest, RefusesMessagesOutOfPlace) {
  const Bytes begin = wire::copy_out_response(RowFormat::kText);
  const Bytes row = wire::copy_data(bytes_of("1\n"));
  const Bytes tag = wire::command_complete("COPY 1");
  const Bytes ready = wire::ready_for_query();
  const std::string refused = "protocol_violation";
  EXPECT_EQ(code_after(joined({row})), refused) << "a row without a COPY";
  EXPECT_EQ(code_after(joined({begin, begin})), refused);
  EXPECT_EQ(code_after(joined({begin, row, tag, ready})), refused) << "no CopyDone";
  EXPECT_EQ(code_after(joined({begin, row, ready})), refused);
  EXPECT_EQ(code_after(joined({begin, row, wire::copy_done(), ready})), refused) << "no command tag";
  EXPECT_EQ(code_after(joined({begin, row, wire::copy_done(), row, tag, ready})), refused) << "a row after CopyDone";
  EXPECT_EQ(code_after(joined({begin, row, wire::copy_done(), tag, ready, row})), refused) << "a row after the end";
  EXPECT_EQ(code_after(joined({begin, wire::message('?', bytes_of("what"))})), refused);
  EXPECT_EQ(code_after(joined({begin, wire::message('\xff', bytes_of("what"))})), refused);
}

TEST_P(ProtocolTest, WhatAnIdleServerSendsMayFollowAtOnce) {
  const Bytes complete = copy_messages({RowFormat::kText, {bytes_of("1\n")}});
  EXPECT_EQ(code_after(joined({complete, wire::parameter_status("TimeZone", "UTC")})), "none");
  EXPECT_EQ(code_after(joined({complete, wire::notice("by the way"), wire::message('A', bytes_of({"pid.c\0p\0", 8}))})), "none");
  EXPECT_EQ(code_after(joined({complete, wire::report('E', "FATAL", "57P01", "terminating connection due to administrator command")})),
            "connection_lost");
}

TEST_P(ProtocolTest, TakesErrorMessagesOfAnyShape) {
  const Bytes begin = wire::copy_out_response(RowFormat::kText);
  for (const char* const body : {"", "M", "Mtext without end", "C42501", "Q\1\2\3"}) {
    const std::string code = code_after(joined({begin, wire::message('E', bytes_of(body))}));
    EXPECT_EQ(code, std::string_view(body) == "C42501" ? "permission_denied" : "server_error") << body;
  }
}

TEST_P(ProtocolTest, RandomMessagesNeverCrash) {
  const std::set<std::string> expected = {"protocol_violation", "connection_lost", "server_error", "none"};
  Random random(67);
  for (int round = 0; round < 150; ++round) {
    const RowFormat format = random.chance(50) ? RowFormat::kText : RowFormat::kBinary;
    Bytes messages;
    if (random.chance(50)) {
      messages = copy_messages(random_copy_data(random, format, 5));
      for (int change = 0; change < 3; ++change) messages[random.below(messages.size())] = static_cast<std::byte>(random.next());
    } else {
      messages = wire::copy_out_response(format);
      for (int count = 0; count < 10; ++count)
        append(messages, wire::message("dcCZNSAEH?"[random.below(10)], random.bytes(random.below(30))));
    }
    const std::string code = code_after(messages, format);
    EXPECT_TRUE(expected.contains(code)) << code;
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, ProtocolTest, testing::Values(Way::kPlain, Way::kTls), name_of);

}  // namespace

}  // namespace dbbackup::test
