#include "pipeline/hash_file.h"

#include <gtest/gtest.h>

#include "support/child.h"
#include "support/errors.h"
#include "support/random.h"
#include "support/temporary_directory.h"

namespace dbbackup::test {

namespace {

TEST(HashFile, SaysWhatTheStockToolsSay) {
  const TemporaryDirectory directory;
  Random random(91);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20, (std::size_t{2} << 20) + 3}) {
    write_file(directory.file("f"), random.bytes(size));
    EXPECT_EQ(hash_file(directory.file("f"), Checksum::kXxh3),
              text_of(run_child({"xxhsum", "-H2", directory.file("f")}).output).substr(0, 32));
    EXPECT_EQ(hash_file(directory.file("f"), Checksum::kSha256),
              text_of(run_child({"sha256sum", directory.file("f")}).output).substr(0, 64));
  }
}

TEST(HashFile, EndsOnAStop) {
  const TemporaryDirectory directory;
  write_file(directory.file("f"), Bytes(10));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of([&] { hash_file(directory.file("f"), Checksum::kXxh3, stop.get_token()); }), "cancelled");
  EXPECT_EQ(code_of([&] { hash_file(directory.file("none"), Checksum::kXxh3); }), "data_damaged");
}

}  // namespace

}  // namespace dbbackup::test
