#include "memory/block_pool.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/error.h"

namespace dbbackup {

Block& Block::operator=(Block&& other) noexcept {
  if (this != &other) {
    if (pool_ != nullptr) pool_->release(data_);
    pool_ = std::exchange(other.pool_, nullptr);
    data_ = other.data_;
    size = other.size;
  }
  return *this;
}

Block::~Block() {
  if (pool_ != nullptr) pool_->release(data_);
}

BlockPool::BlockPool(std::size_t count) : count_(count) {
  void* region = ::mmap(nullptr, count * kBlockBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED) throw Error::from_errno(errno, "cannot reserve the block pool", "");
  region_ = static_cast<std::byte*>(region);
  free_.reserve(count);
  for (std::size_t index = count; index-- > 0;) free_.push_back(region_ + index * kBlockBytes);
}

BlockPool::~BlockPool() { ::munmap(region_, count_ * kBlockBytes); }

Block BlockPool::acquire(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (!freed_.wait(lock, stop, [this] { return !free_.empty(); })) throw Error(code::kCancelled, "cancelled");
  if (stop.stop_requested()) throw Error(code::kCancelled, "cancelled");
  // Last in, first out: the block used last is the one still in the cache, and blocks never needed are never touched.
  std::byte* data = free_.back();
  free_.pop_back();
  return Block(this, data);
}

void BlockPool::release(std::byte* data) noexcept {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(data);  // Within the capacity reserved at construction: cannot throw.
  }
  freed_.notify_one();
}

}  // namespace dbbackup
