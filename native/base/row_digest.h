#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace dbbackup {

/// Number of rows and the sum modulo 2^128 of their XXH3-128 hashes: `docs/format.md` section 5. Independent of the order of rows.
struct RowDigest {
  std::uint64_t rows = 0;
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  void add_hash(std::uint64_t hash_low, std::uint64_t hash_high) noexcept {
    low += hash_low;
    high += hash_high + (low < hash_low ? 1 : 0);
    ++rows;
  }
  /// Adds one whole row given by its COPY bytes.
  void add_row(std::span<const std::byte> row) noexcept;
  void add(const RowDigest& other) noexcept {
    low += other.low;
    high += other.high + (low < other.low ? 1 : 0);
    rows += other.rows;
  }
  bool operator==(const RowDigest&) const = default;
  /// The sum as 32 lower-case hexadecimal digits, high half first.
  std::string hex() const;
};

/// Hash of one row that arrives in pieces. Holds about 600 bytes, no heap.
class RowHasher {
 public:
  RowHasher();
  ~RowHasher();
  RowHasher(const RowHasher&) = delete;
  RowHasher& operator=(const RowHasher&) = delete;

  void begin() noexcept;
  void update(std::span<const std::byte> piece) noexcept;
  void finish(RowDigest& into) noexcept;

 private:
  struct State;
  static constexpr std::size_t kStateBytes = 640;
  State& state() noexcept { return *reinterpret_cast<State*>(storage_); }
  alignas(64) std::byte storage_[kStateBytes];
};

}  // namespace dbbackup
