#include "pg/init.h"

#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>

namespace dbbackup {

void init_libraries() {
  // Without the flag OpenSSL frees its global state in an atexit handler, and a thread still inside libssl crashes while the process ends.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
}

int libpq_version() noexcept { return PQlibVersion(); }

std::string openssl_version() { return OpenSSL_version(OPENSSL_VERSION_STRING); }

}  // namespace dbbackup
