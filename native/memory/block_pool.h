#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/row_digest.h"

namespace dbbackup {

/// Raw bytes a frame may hold: `docs/format.md` section 4.
inline constexpr std::size_t kBlockRawBytes = std::size_t{1} << 20;
/// A block also holds a stored frame with its prefix, whatever the codec adds to incompressible input.
inline constexpr std::size_t kBlockBytes = kBlockRawBytes + (std::size_t{64} << 10);

class BlockPool;

/// A fixed-size, page-aligned buffer on loan from a pool. Move-only; goes home on destruction.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), data_(other.data_), size(other.size) {}
  Block& operator=(Block&& other) noexcept;
  ~Block();

  explicit operator bool() const noexcept { return pool_ != nullptr; }
  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  std::span<std::byte> room() noexcept { return {data_ + size, kBlockBytes - size}; }
  std::span<const std::byte> bytes() const noexcept { return {data_, size}; }

 private:
  friend class BlockPool;
  Block(BlockPool* pool, std::byte* data) : pool_(pool), data_(data) {}
  BlockPool* pool_ = nullptr;
  std::byte* data_ = nullptr;

 public:
  /// Bytes in use, from the start.
  std::size_t size = 0;
};

/// A fixed set of blocks, reserved at construction: the memory limit of one worker's data path and, through `acquire`, its back-pressure.
class BlockPool {
 public:
  explicit BlockPool(std::size_t count);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// Waits until a block is free. Throws `cancelled` on a stop.
  Block acquire(std::stop_token stop);
  std::size_t count() const noexcept { return count_; }

 private:
  friend class Block;
  void release(std::byte* data) noexcept;

  std::size_t count_;
  std::byte* region_;
  std::mutex mutex_;
  std::condition_variable_any freed_;
  std::vector<std::byte*> free_;
};

}  // namespace dbbackup
