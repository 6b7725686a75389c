#include "keeper/keeper.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <functional>
#include <thread>

#include "support/bytes.h"
#include "support/database.h"
#include "support/errors.h"
#include "support/random.h"
#include "support/temporary_directory.h"

namespace dbbackup::keeper::test {

using dbbackup::test::Random;
using dbbackup::test::TemporaryDirectory;

namespace {

using std::chrono::milliseconds;

/// One end of a connection to a keeper, blocking.
class Caller {
 public:
  explicit Caller(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
  }

  void send(const std::string& bytes) { (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  /// Nothing more will be sent.
  void finish() { (void)::shutdown(fd_.get(), SHUT_WR); }
  /// The next frame; nullopt when the keeper has closed the connection.
  std::optional<Frame> receive() {
    for (;;) {
      if (std::optional<Frame> frame = frames_.next()) return frame;
      std::byte buffer[65536];
      const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (size <= 0) return std::nullopt;
      frames_.append(std::span(buffer, static_cast<std::size_t>(size)));
    }
  }
  /// Types of the frames up to one of `last`, or to the end.
  std::string receive_until(char last) {
    std::string types;
    while (const std::optional<Frame> frame = receive()) {
      types += frame->type;
      if (frame->type == last) return types;
    }
    return types + '$';
  }
  std::string ask(const std::string& sql) {
    FrameWriter frame('q');
    send(frame.text(sql).finish());
    return receive_until('Z');
  }

 private:
  UniqueFd fd_;
  FrameBuffer frames_;
};

std::string bare(char type) { return FrameWriter(type).finish(); }

/// A keeper on a thread of its own.
class RunningKeeper {
 public:
  explicit RunningKeeper(const ConnectionSpec& spec, milliseconds ping = milliseconds{30'000})
      : connection_(spec, never_),
        path_(directory_.file("keeper.sock")),
        listener_(path_),
        signal_(::eventfd(0, EFD_CLOEXEC)),
        thread_([this, ping] {
          StartRequest start;
          start.id = "test";
          start.database = "sample";
          start.ttl = milliseconds{60'000};
          start.ping = ping;
          Keeper(std::move(start), connection_, listener_, signal_.get()).run();
        }) {}
  ~RunningKeeper() { end(); }

  const std::string& path() const noexcept { return path_; }
  void end() {
    (void)::eventfd_write(signal_.get(), 1);
    if (thread_.joinable()) thread_.join();
  }

 private:
  TemporaryDirectory directory_;
  const Stop never_;
  Connection connection_;
  std::string path_;
  Listener listener_;
  UniqueFd signal_;
  std::thread thread_;
};

TEST(Keeper, AnswersItsAttachedClientAlone) {
  DBBACKUP_NEED_DATABASE(spec);
  RunningKeeper keeper(*spec);
  Caller stranger(keeper.path());
  EXPECT_EQ(stranger.ask("SELECT 1"), "E$");
  Caller client(keeper.path());
  client.send(bare('a'));
  EXPECT_EQ(client.receive_until('I'), "I");
  EXPECT_EQ(client.ask("SELECT 1"), "CDTZ");
  EXPECT_EQ(client.ask("SELECT 1 WHERE false; SELECT 2; BEGIN; COMMIT"), "CTCDTTTZ");
  EXPECT_EQ(client.ask("SELECT 1; SELECT 1/0"), "CDTEZ");
  EXPECT_EQ(client.ask(""), "TZ");
  Caller second(keeper.path());
  second.send(bare('a'));
  EXPECT_EQ(second.receive_until('Z'), "E$");
}

TEST(Keeper, TellsAboutItselfWhileAQueryRunsAndStopsIt) {
  DBBACKUP_NEED_DATABASE(spec);
  RunningKeeper keeper(*spec);
  Caller client(keeper.path());
  FrameWriter query('q');
  client.send(bare('a') + query.text("SELECT pg_catalog.pg_sleep(600)").finish());
  EXPECT_EQ(client.receive_until('I'), "I");
  Caller other(keeper.path());
  other.send(bare('i') + bare('i'));
  EXPECT_EQ(other.receive_until('I'), "I");
  EXPECT_EQ(other.receive_until('I'), "I");
  const auto begin = std::chrono::steady_clock::now();
  other.send(bare('s'));
  keeper.end();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds{20'000});
}

TEST(Keeper, WaitsForAClientThatDoesNotRead) {
  DBBACKUP_NEED_DATABASE(spec);
  RunningKeeper keeper(*spec);
  Caller client(keeper.path());
  FrameWriter query('q');
  client.send(bare('a') + query.text("SELECT repeat('x', 1000) FROM generate_series(1, 20000)").finish());
  std::this_thread::sleep_for(milliseconds{300});
  Caller other(keeper.path());
  other.send(bare('i'));
  EXPECT_EQ(other.receive_until('I'), "I");
  EXPECT_EQ(client.receive_until('I'), "I");
  EXPECT_EQ(client.receive_until('Z'), "C" + std::string(20000, 'D') + "TZ");
}

TEST(Keeper, DrainsTheQueryOfAClientThatLeft) {
  DBBACKUP_NEED_DATABASE(spec);
  RunningKeeper keeper(*spec, milliseconds{20});
  {
    Caller client(keeper.path());
    FrameWriter hold('h'), query('q');
    client.send(bare('a') + hold.text("SELECT 7").text("note").finish());
    EXPECT_EQ(client.receive_until('I'), "I");
    EXPECT_EQ(client.receive_until('I'), "I");
    EXPECT_EQ(client.ask("CREATE TEMP TABLE kept (id int)"), "TZ");
    client.send(query.text("INSERT INTO kept SELECT 1 FROM pg_sleep(0.3); SELECT * FROM generate_series(1, 50000)").finish());
  }
  Caller next(keeper.path());
  // The one before has gone once the keeper has read its end.
  for (;;) {
    next.send(bare('a'));
    const std::optional<Frame> reply = next.receive();
    ASSERT_TRUE(reply);
    if (reply->type == 'I') break;
    next = Caller(keeper.path());
  }
  EXPECT_EQ(next.ask("SELECT * FROM kept"), "CDTZ");
}

TEST(Keeper, SurvivesHostileClients) {
  DBBACKUP_NEED_DATABASE(spec);
  RunningKeeper keeper(*spec, milliseconds{20});
  Caller client(keeper.path());
  client.send(bare('a'));
  EXPECT_EQ(client.receive_until('I'), "I");
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    Caller hostile(keeper.path());
    std::string bytes;
    for (const std::byte byte : random.bytes(random.below(200))) bytes += static_cast<char>(byte);
    // Of frames with a length that is possible, the fields are random. A real stop would be taken for what it is.
    if (random.chance(50)) bytes = FrameWriter(static_cast<char>('a' + random.below(17))).text(bytes).finish();
    hostile.send(bytes);
    hostile.finish();
    EXPECT_EQ(hostile.receive_until('Z').back(), '$');
  }
  EXPECT_EQ(client.ask("SELECT 1"), "CDTZ");
}

}  // namespace

}  // namespace dbbackup::keeper::test
