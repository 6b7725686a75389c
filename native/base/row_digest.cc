#include "base/row_digest.h"

#include <new>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dbbackup {

struct RowHasher::State {
  XXH3_state_t xxh;
};

RowHasher::RowHasher() {
  static_assert(sizeof(State) <= kStateBytes && alignof(State) <= 64);
  new (storage_) State;
}

RowHasher::~RowHasher() { state().~State(); }

void RowHasher::begin() noexcept { XXH3_128bits_reset(&state().xxh); }

void RowHasher::update(std::span<const std::byte> piece) noexcept { XXH3_128bits_update(&state().xxh, piece.data(), piece.size()); }

void RowHasher::finish(RowDigest& into) noexcept {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state().xxh);
  into.add_hash(hash.low64, hash.high64);
}

void RowDigest::add_row(std::span<const std::byte> row) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(row.data(), row.size());
  add_hash(hash.low64, hash.high64);
}

std::string RowDigest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(32, '0');
  for (int digit = 0; digit < 16; ++digit) {
    text[15 - digit] = kDigits[(high >> (4 * digit)) & 0xf];
    text[31 - digit] = kDigits[(low >> (4 * digit)) & 0xf];
  }
  return text;
}

}  // namespace dbbackup
