#include "base/stop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "support/errors.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct SocketPair {
  UniqueFd one, other;
  SocketPair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    one.reset(fds[0]);
    other.reset(fds[1]);
  }
};

TEST(Stop, StaysRequested) {
  Stop stop;
  EXPECT_FALSE(stop.requested());
  EXPECT_NO_THROW(stop.check());
  stop.request();
  stop.request();
  EXPECT_TRUE(stop.requested());
  EXPECT_TRUE(stop.token().stop_requested());
  EXPECT_EQ(code_of([&] { stop.check(); }), "cancelled");
}

TEST(Stop, WaitsForADescriptor) {
  const Stop stop;
  const SocketPair sockets;
  EXPECT_EQ(stop.wait(sockets.one.get(), POLLOUT), POLLOUT);
  std::jthread writer([&] {
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(::write(sockets.other.get(), "x", 1), 1);
  });
  EXPECT_EQ(stop.wait(sockets.one.get(), POLLIN), POLLIN);
}

TEST(Stop, ReportsAHangUp) {
  const Stop stop;
  SocketPair sockets;
  sockets.other.reset();
  EXPECT_NE(stop.wait(sockets.one.get(), POLLIN) & (POLLIN | POLLHUP), 0);
}

TEST(Stop, WakesEveryPoll) {
  Stop stop;
  std::vector<std::jthread> waiters;
  std::atomic<int> cancelled{0};
  const SocketPair sockets;
  for (int waiter = 0; waiter < 4; ++waiter) {
    waiters.emplace_back([&] {
      if (code_of([&] { stop.wait(sockets.one.get(), POLLIN); }) == "cancelled") ++cancelled;
    });
  }
  std::this_thread::sleep_for(milliseconds(20));
  stop.request();
  waiters.clear();
  EXPECT_EQ(cancelled, 4);
}

TEST(Stop, EndsAWaitThatBeginsAfterIt) {
  Stop stop;
  const SocketPair sockets;
  ASSERT_EQ(::write(sockets.other.get(), "x", 1), 1);
  stop.request();
  EXPECT_EQ(code_of([&] { stop.wait(sockets.one.get(), POLLIN); }), "cancelled");
}

TEST(Stop, GivesUpAfterItsTimeout) {
  const Stop stop;
  const SocketPair sockets;
  const auto begin = Clock::now();
  EXPECT_EQ(stop.wait(sockets.one.get(), POLLIN, milliseconds(30)), 0);
  EXPECT_GE(Clock::now() - begin, milliseconds(29));
}

TEST(Stop, TakesATimeoutBeyondWhatPollCan) {
  // 2^32 + 1 ms: cut to an int it would be 1 ms.
  const Stop stop;
  const SocketPair sockets;
  std::jthread writer([&] {
    std::this_thread::sleep_for(milliseconds(50));
    EXPECT_EQ(::write(sockets.other.get(), "x", 1), 1);
  });
  EXPECT_EQ(stop.wait(sockets.one.get(), POLLIN, milliseconds((std::int64_t{1} << 32) + 1)), POLLIN);
}

}  // namespace

}  // namespace dbbackup::test
