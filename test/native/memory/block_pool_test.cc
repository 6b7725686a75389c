#include "memory/block_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <thread>

#include "support/errors.h"
#include "support/random.h"

namespace dbbackup::test {

namespace {

using std::chrono::milliseconds;

TEST(BlockPool, GivesDistinctAlignedBlocks) {
  BlockPool pool(3);
  EXPECT_EQ(pool.count(), 3u);
  std::vector<Block> blocks;
  for (int block = 0; block < 3; ++block) blocks.push_back(pool.acquire({}));
  for (Block& block : blocks) {
    EXPECT_TRUE(block);
    EXPECT_EQ(block.size, 0u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.data()) % 4096, 0u);
    EXPECT_EQ(block.room().size(), kBlockBytes);
    std::memset(block.data(), static_cast<int>(&block - blocks.data()), kBlockBytes);
  }
  for (const Block& block : blocks) {
    const auto mark = static_cast<std::byte>(&block - blocks.data());
    EXPECT_EQ(block.data()[0], mark);
    EXPECT_EQ(block.data()[kBlockBytes - 1], mark);
  }
}

TEST(Block, KnowsItsBytesAndItsRoom) {
  BlockPool pool(1);
  Block block = pool.acquire({});
  block.size = 10;
  EXPECT_EQ(block.bytes().size(), 10u);
  EXPECT_EQ(block.room().data(), block.data() + 10);
  EXPECT_EQ(block.room().size(), kBlockBytes - 10);
}

TEST(Block, MovesAndGoesHomeOnce) {
  BlockPool pool(2);
  Block one = pool.acquire({});
  one.size = 7;
  Block moved = std::move(one);
  EXPECT_FALSE(one);  // NOLINT(bugprone-use-after-move): that is what is tested.
  EXPECT_EQ(moved.size, 7u);
  Block other = pool.acquire({});
  // Assignment sends the block that was held home.
  moved = std::move(other);
  Block again = pool.acquire({});
  EXPECT_TRUE(again);
  Block& self = again;
  again = std::move(self);
  EXPECT_TRUE(again);
  again = Block();
  EXPECT_FALSE(again);
  again = pool.acquire({});
  EXPECT_TRUE(again);
}

TEST(BlockPool, AcquireWaitsForARelease) {
  BlockPool pool(1);
  std::optional<Block> held = pool.acquire({});
  std::atomic<bool> has_got{false};
  std::jthread waiter([&] {
    const Block block = pool.acquire({});
    has_got = true;
  });
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_FALSE(has_got);
  held.reset();
  waiter.join();
  EXPECT_TRUE(has_got);
}

TEST(BlockPool, AStopEndsTheWait) {
  BlockPool pool(1);
  const Block held = pool.acquire({});
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(20));
    stop.request_stop();
  });
  EXPECT_EQ(code_of([&] { pool.acquire(stop.get_token()); }), "cancelled");
}

TEST(BlockPool, AStopWinsOverAFreeBlock) {
  BlockPool pool(1);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of([&] { pool.acquire(stop.get_token()); }), "cancelled");
  EXPECT_TRUE(pool.acquire({}));
}

TEST(BlockPool, AWaiterThatStopsDoesNotSwallowAnothersBlock) {
  // A release that wakes the one who stops must still reach the other.
  for (int round = 0; round < 50; ++round) {
    BlockPool pool(1);
    std::optional<Block> held = pool.acquire({});
    std::stop_source stop;
    bool has_block = false;
    {
      std::jthread stopped([&] {
        // It gets the block or hears of the stop, whichever comes first.
        const std::string code = code_of([&] { const Block block = pool.acquire(stop.get_token()); });
        EXPECT_TRUE(code == "none" || code == "cancelled") << code;
      });
      std::jthread waiter([&] { has_block = static_cast<bool>(pool.acquire({})); });
      std::this_thread::yield();
      std::jthread stopper([&] { stop.request_stop(); });
      held.reset();
    }
    EXPECT_TRUE(has_block);
  }
}

TEST(BlockPool, ServesManyThreadsWithFewBlocks) {
  BlockPool pool(3);
  std::atomic<int> in_use{0};
  std::atomic<bool> is_exceeded{false};
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      Random random(static_cast<std::uint64_t>(thread));
      for (int round = 0; round < 300; ++round) {
        Block block = pool.acquire({});
        if (++in_use > 3) is_exceeded = true;
        std::memset(block.data(), thread, 64);
        if (random.chance(10)) std::this_thread::yield();
        for (int at = 0; at < 64; ++at) {
          if (block.data()[at] != static_cast<std::byte>(thread)) is_exceeded = true;
        }
        --in_use;
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(is_exceeded);
  EXPECT_EQ(in_use, 0);
}

}  // namespace

}  // namespace dbbackup::test
