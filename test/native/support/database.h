#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "pg/connection.h"

namespace dbbackup::test {

/// The server that tests may use: DBBACKUP_TEST_CONNINFO, or libpq's own variables where PGHOST is set.
inline std::optional<ConnectionSpec> test_database() {
  if (const char* const conninfo = std::getenv("DBBACKUP_TEST_CONNINFO")) return ConnectionSpec{{"dbname"}, {conninfo}};
  if (std::getenv("PGHOST") != nullptr) return ConnectionSpec{};
  return std::nullopt;
}

}  // namespace dbbackup::test

/// Skips the test, with the reason, where there is no server to test with.
#define DBBACKUP_NEED_DATABASE(name)                   \
  const auto name = ::dbbackup::test::test_database(); \
  if (!name) GTEST_SKIP() << "no server: set DBBACKUP_TEST_CONNINFO to the conninfo of a database that may be written to"
