#include "io/file_source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>

#include "support/errors.h"
#include "support/random.h"
#include "support/temporary_directory.h"

namespace dbbackup::test {

namespace {

namespace fs = std::filesystem;

class FileSourceTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
};

TEST_F(FileSourceTest, ReadsWhatIsThere) {
  Random random(85);
  const Bytes bytes = random.bytes(100000);
  write_file(directory_.file("f"), bytes);
  FileSource source(directory_.file("f"));
  EXPECT_EQ(source.size(), bytes.size());
  Bytes all(bytes.size());
  source.read_exactly(std::span(all).first(1000));
  source.read_exactly(std::span(all).subspan(1000));
  EXPECT_TRUE(all == bytes);
  EXPECT_EQ(source.read(all), 0u);
  source.seek(99990);
  EXPECT_EQ(source.read(all), 10u);
  EXPECT_TRUE(equal(std::span(all).first(10), std::span(bytes).subspan(99990)));
  source.read_exactly({});
}

TEST_F(FileSourceTest, AFileThatEndsTooEarlyIsDamaged) {
  write_file(directory_.file("f"), Bytes(10));
  FileSource source(directory_.file("f"));
  Bytes into(11);
  const std::optional<Error> error = error_of([&] { source.read_exactly(into); });
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->code(), "data_damaged");
  EXPECT_EQ(error->path, directory_.file("f"));
  source.seek(1000);
  EXPECT_EQ(code_of([&] { source.read_exactly(std::span(into).first(1)); }), "data_damaged");
}

TEST_F(FileSourceTest, AMissingFileIsDamaged) {
  EXPECT_EQ(code_of([&] { FileSource(directory_.file("f")); }), "data_damaged");
}

TEST_F(FileSourceTest, RefusesWhatIsNoFile) {
  write_file(directory_.file("f"), bytes_of("secret"));
  fs::create_symlink(directory_.file("f"), directory_.file("link"));
  EXPECT_EQ(code_of([&] { FileSource(directory_.file("link")); }), "data_damaged");
  EXPECT_EQ(code_of([&] { FileSource(directory_.path()); }), "data_damaged");
  EXPECT_EQ(code_of([&] { FileSource("/dev/null"); }), "data_damaged");
  // Opening a pipe for reading waits for a writer, unless it is told not to.
  ASSERT_EQ(::mkfifo(directory_.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { FileSource(directory_.file("pipe")); }), "data_damaged");
}

TEST_F(FileSourceTest, AFileThatMayNotBeReadIsAnInputError) {
  fs::permissions(directory_.path(), fs::perms::all);
  write_file(directory_.file("f"), bytes_of("x"));
  fs::permissions(directory_.file("f"), fs::perms::owner_write);
  const AsOrdinaryUser user;
  const std::optional<Error> error = error_of([&] { FileSource(directory_.file("f")); });
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->code(), "io_error") << "not_writable is about directories";
  EXPECT_EQ(error->error_number, EACCES);
}

}  // namespace

}  // namespace dbbackup::test
