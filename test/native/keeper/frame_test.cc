#include "keeper/frame.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "keeper/requests.h"
#include "support/bytes.h"
#include "support/errors.h"
#include "support/random.h"

namespace dbbackup::keeper::test {

using dbbackup::test::append;
using dbbackup::test::append_be32;
using dbbackup::test::Bytes;
using dbbackup::test::bytes_of;
using dbbackup::test::code_of;
using dbbackup::test::Random;

namespace {

constexpr std::uint32_t kNull = 0xffffffff;

/// A frame as the other side builds it: the length counts the type.
Bytes frame_of(char type, const Bytes& fields) {
  Bytes frame;
  append_be32(frame, static_cast<std::uint32_t>(fields.size() + 1));
  frame.push_back(static_cast<std::byte>(type));
  append(frame, fields);
  return frame;
}

Bytes text_of(std::string_view text) {
  Bytes field;
  append_be32(field, static_cast<std::uint32_t>(text.size()));
  append(field, bytes_of(text));
  return field;
}

/// Reads all requests out of what came, and gives their number.
int read_all(FrameBuffer& frames) {
  int count = 0;
  while (const std::optional<Frame> frame = frames.next()) {
    (void)parse_request(*frame);
    ++count;
  }
  return count;
}

TEST(KeeperFrame, ReadsWhatItWroteHoweverItIsCut) {
  Random random(7);
  std::string stream;
  for (int index = 0; index < 50; ++index) {
    FrameWriter frame('q');
    frame.text(std::string(random.below(3000), 'x'));
    stream += frame.finish();
  }
  FrameBuffer frames;
  int count = 0;
  const Bytes bytes = bytes_of(stream);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min(bytes.size() - at, 1 + random.below(700));
    frames.append(std::span(bytes).subspan(at, size));
    at += size;
    count += read_all(frames);
  }
  EXPECT_EQ(count, 50);
}

TEST(KeeperFrame, ReadsEveryRequest) {
  FrameBuffer frames;
  Bytes query = text_of("SELECT 1");
  frames.append(frame_of('q', query));
  append_be32(query, 2);
  append(query, text_of("a"));
  append_be32(query, kNull);
  frames.append(frame_of('p', query));
  Bytes hold = text_of("SELECT 2");
  append(hold, text_of("note"));
  frames.append(frame_of('h', hold));
  for (const char type : {'a', 'i', 's'}) frames.append(frame_of(type, {}));

  const Request simple = parse_request(*frames.next());
  EXPECT_EQ(std::get<QueryRequest>(simple).sql, "SELECT 1");
  EXPECT_FALSE(std::get<QueryRequest>(simple).params);
  const Request extended = parse_request(*frames.next());
  const std::vector<std::optional<std::string>> expected{"a", std::nullopt};
  EXPECT_EQ(std::get<QueryRequest>(extended).params, expected);
  const Request held = parse_request(*frames.next());
  EXPECT_EQ(std::get<HoldRequest>(held).ping_sql, "SELECT 2");
  EXPECT_EQ(std::get<HoldRequest>(held).note, "note");
  EXPECT_TRUE(std::holds_alternative<AttachRequest>(parse_request(*frames.next())));
  EXPECT_TRUE(std::holds_alternative<InfoRequest>(parse_request(*frames.next())));
  EXPECT_TRUE(std::holds_alternative<StopRequest>(parse_request(*frames.next())));
  EXPECT_FALSE(frames.next());
}

TEST(KeeperFrame, RefusesImpossibleLengthsAtOnce) {
  for (const std::uint32_t length : {0U, kMaxFrameBytes + 1, 0x7fffffffU, 0xffffffffU}) {
    Bytes bytes;
    append_be32(bytes, length);
    FrameBuffer frames;
    frames.append(bytes);
    EXPECT_EQ(code_of([&] { (void)frames.next(); }), "protocol_violation") << length;
  }
}

TEST(KeeperFrame, RefusesFieldsThatAreNotThere) {
  Bytes too_long;
  append_be32(too_long, 5);
  append(too_long, bytes_of("abcd"));
  Bytes many = text_of("SELECT 1");
  append_be32(many, 0x40000000);
  Bytes trailing = text_of("SELECT 1");
  append(trailing, bytes_of("x"));
  Bytes null_text;
  append_be32(null_text, kNull);
  const std::vector<std::pair<char, Bytes>> wrong{
      {'q', {}},       {'q', bytes_of("ab")}, {'q', too_long}, {'q', null_text}, {'q', text_of({"a\0b", 3})},
      {'q', trailing}, {'p', text_of("x")},   {'p', many},     {'a', trailing},  {'i', trailing},
      {'s', trailing}, {'h', text_of("x")},   {'z', {}},       {'\0', {}},       {'b', {}},
  };
  for (const auto& [type, fields] : wrong) {
    FrameBuffer frames;
    frames.append(frame_of(type, fields));
    EXPECT_EQ(code_of([&] { (void)read_all(frames); }), "protocol_violation") << type << ' ' << fields.size();
  }
}

TEST(KeeperFrame, RefusesStartsThatAreNone) {
  Bytes fields;
  for (const char* const text : {"id", "database", "/socket"}) append(fields, text_of(text));
  append_be32(fields, 1000);
  Bytes idle = fields;
  append_be32(idle, 0);
  append_be32(fields, 30000);
  for (Bytes* const each : {&fields, &idle}) {
    append_be32(*each, 1);
    append(*each, text_of("dbname"));
  }
  Bytes uneven = fields;
  append_be32(uneven, 0);
  for (Bytes* const each : {&fields, &idle}) {
    append_be32(*each, 1);
    append(*each, text_of("postgres"));
  }
  const auto parse = [](char type, const Bytes& bytes) {
    FrameBuffer frames;
    frames.append(frame_of(type, bytes));
    return parse_start(*frames.next());
  };
  const StartRequest start = parse('b', fields);
  EXPECT_EQ(start.socket_path, "/socket");
  EXPECT_EQ(start.ttl.count(), 1000);
  EXPECT_EQ(start.connection.values, std::vector<std::string>{"postgres"});
  EXPECT_EQ(code_of([&] { (void)parse('a', fields); }), "protocol_violation");
  EXPECT_EQ(code_of([&] { (void)parse('b', uneven); }), "protocol_violation");
  EXPECT_EQ(code_of([&] { (void)parse('b', idle); }), "protocol_violation");
}

TEST(KeeperFrame, SurvivesRandomAndDamagedBytes) {
  Random random(2026);
  Bytes query = text_of("SELECT $1, $2");
  append_be32(query, 2);
  append(query, text_of("one"));
  append(query, text_of("two"));
  const Bytes valid = frame_of('p', query);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = random.chance(50) ? random.bytes(random.below(60)) : valid;
    for (std::size_t change = random.below(4); change > 0 && !bytes.empty(); --change)
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.below(256));
    if (random.chance(30) && !bytes.empty()) bytes.resize(random.below(bytes.size()));
    FrameBuffer frames;
    frames.append(bytes);
    const std::string code = code_of([&] { (void)read_all(frames); });
    EXPECT_TRUE(code == "none" || code == "protocol_violation") << code;
    refused += code == "none" ? 0 : 1;
    if (bytes.size() > 5) {
      const Frame frame{'b', std::string(reinterpret_cast<const char*>(bytes.data()) + 5, bytes.size() - 5)};
      const std::string start_code = code_of([&] { (void)parse_start(frame); });
      EXPECT_EQ(start_code, "protocol_violation");
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace

}  // namespace dbbackup::keeper::test
