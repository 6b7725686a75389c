#include "codec/hasher.h"

#include <openssl/evp.h>

#include <variant>

#include "base/bytes.h"
#include "base/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dbbackup {

namespace {

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Sha256 = std::unique_ptr<EVP_MD_CTX, FreeDigest>;

Error openssl_error() { return Error(code::kInternal, "openssl cannot compute SHA-256"); }

}  // namespace

struct Hasher::Impl {
  std::variant<XXH3_state_t, Sha256> state;
};

Hasher::Hasher(Checksum checksum) : impl_(std::make_unique<Impl>()) {
  if (checksum == Checksum::kXxh3) {
    XXH3_128bits_reset(&impl_->state.emplace<XXH3_state_t>());
    return;
  }
  Sha256 context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) throw openssl_error();
  impl_->state = std::move(context);
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (auto* xxh = std::get_if<XXH3_state_t>(&impl_->state)) {
    XXH3_128bits_update(xxh, bytes.data(), bytes.size());
  } else if (EVP_DigestUpdate(std::get<Sha256>(impl_->state).get(), bytes.data(), bytes.size()) != 1) {
    throw openssl_error();
  }
}

std::string Hasher::finish() {
  if (auto* xxh = std::get_if<XXH3_state_t>(&impl_->state)) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(xxh));
    return to_hex(canonical.digest);
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(std::get<Sha256>(impl_->state).get(), digest, &size) != 1) throw openssl_error();
  return to_hex({digest, size});
}

}  // namespace dbbackup
