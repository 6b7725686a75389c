#include "pipeline/side_thread.h"

#include <gtest/gtest.h>

#include <chrono>

namespace dbbackup::test {

namespace {

TEST(SideThread, RunsOneClosureAfterTheOther) {
  SideThread side;
  int runs = 0;
  for (int round = 0; round < 1000; ++round) {
    side.start([&] { ++runs; });
    side.wait();
    ASSERT_EQ(runs, round + 1);
  }
  side.wait();
}

TEST(SideThread, RunsOnAThreadOfItsOwn) {
  SideThread side;
  std::thread::id id;
  side.start([&] { id = std::this_thread::get_id(); });
  side.wait();
  EXPECT_NE(id, std::this_thread::get_id());
}

TEST(SideThread, EndsWithoutWork) {
  for (int round = 0; round < 50; ++round) SideThread side;
}

TEST(SideThread, FinishesItsWorkBeforeItEnds) {
  bool is_done = false;
  {
    SideThread side;
    side.start([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      is_done = true;
    });
  }
  EXPECT_TRUE(is_done);
}

TEST(SideThread, LetsGoOfItsClosure) {
  SideThread side;
  auto held = std::make_shared<int>(1);
  side.start([held] {});
  side.wait();
  // The closure may still be on its way out when `wait` returns; the next one begins behind it.
  side.start([] {});
  side.wait();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace

}  // namespace dbbackup::test
