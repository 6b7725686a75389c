#pragma once

#include <string>

namespace dbbackup {

/// Prepares OpenSSL for use by libpq on several threads. Call before the first connection; further calls do nothing.
void init_libraries();

/// As `PQlibVersion`: 150018 for 15.18.
int libpq_version() noexcept;
/// The version in use, for example `3.0.19`.
std::string openssl_version();

}  // namespace dbbackup
