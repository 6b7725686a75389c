#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace dbbackup::test {

namespace {

PgFields fields(std::string sqlstate, std::string message = "something", std::string detail = "") {
  PgFields made;
  made.severity = "ERROR";
  made.sqlstate = std::move(sqlstate);
  made.message = std::move(message);
  made.detail = std::move(detail);
  return made;
}

TEST(Error, PicksTheCodeByErrno) {
  EXPECT_STREQ(Error::from_errno(ENOSPC, "cannot write f", "f").code(), "disk_full");
  EXPECT_STREQ(Error::from_errno(EDQUOT, "cannot write f", "f").code(), "disk_full");
  EXPECT_STREQ(Error::from_errno(EROFS, "cannot write f", "f").code(), "not_writable");
  EXPECT_STREQ(Error::from_errno(EIO, "cannot write f", "f").code(), "io_error");
  const Error error = Error::from_errno(ENOSPC, "cannot write f", "f");
  EXPECT_EQ(error.error_number, ENOSPC);
  EXPECT_EQ(error.path, "f");
  EXPECT_EQ(error.message(), "cannot write f: No space left on device");
}

TEST(Error, PicksTheCodeBySqlstate) {
  const std::pair<const char*, const char*> expected[] = {
      {"42501", "permission_denied"},
      {"28P01", "authentication_failed"},
      {"3D000", "database_not_found"},
      {"55P03", "lock_not_available"},
      {"XX001", "page_damaged"},
      {"57P01", "connection_lost"},
      {"08006", "connection_lost"},
      {"53300", "connection_failed"},
      {"42704", "type_missing"},
      {"42P01", "server_error"},
      {"", "server_error"},
      // query_canceled: by statement_timeout or by somebody else. Who stops a run here does not wait for the server to say so.
      {"57014", "server_error"},
  };
  for (const auto& [sqlstate, code] : expected) EXPECT_STREQ(Error::from_server(fields(sqlstate)).code(), code) << sqlstate;
}

TEST(Error, KnowsARowThatIsTooLarge) {
  EXPECT_STREQ(Error::from_server(fields("XX000", "invalid memory alloc request size 1073741828")).code(), "row_too_large");
  EXPECT_STREQ(
      Error::from_server(fields("54000", "out of memory", "Cannot enlarge string buffer containing 1 bytes by 2 more bytes.")).code(),
      "row_too_large");
}

TEST(Error, KeepsWhatTheServerSaid) {
  const Error error = Error::from_server(fields("42P01", "relation \"x\" does not exist", "more"));
  EXPECT_EQ(error.message(), "relation \"x\" does not exist");
  EXPECT_EQ(error.pg.detail, "more");
  EXPECT_FALSE(Error::from_server(fields("42P01", "")).message().empty());
}

}  // namespace

}  // namespace dbbackup::test
