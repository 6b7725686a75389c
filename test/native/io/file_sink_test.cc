#include "io/file_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "support/errors.h"
#include "support/full_disk.h"
#include "support/random.h"
#include "support/temporary_directory.h"

namespace dbbackup::test {

namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMiB = std::size_t{1} << 20;

class FileSinkTest : public testing::TestWithParam<bool> {
 protected:
  bool is_direct() const { return GetParam(); }
  /// The build directory is on a disk, which takes O_DIRECT; the system's directory for temporary files may be a tmpfs.
  TemporaryDirectory directory_{fs::current_path()};
  BlockPool pool_{1};
  Block buffer_ = pool_.acquire({});
};

void write_all(FileSink& sink, std::span<const std::byte> bytes, Random& random, std::size_t most) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), 1 + random.below(most));
    sink.write(bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

TEST_P(FileSinkTest, PublishesWhatWasWritten) {
  Random random(81);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{4097}, kMiB - 1, kMiB,
                                 kMiB + 1, 3 * kMiB, 3 * kMiB + 4096, 5 * kMiB + 777}) {
    const Bytes bytes = random.bytes(size);
    const std::string path = directory_.file(std::to_string(size));
    FileSink sink(path, is_direct(), buffer_);
    write_all(sink, bytes, random, 2 * kMiB);
    EXPECT_FALSE(fs::exists(path)) << "not before it is complete";
    EXPECT_TRUE(fs::exists(path + ".tmp"));
    sink.finish();
    EXPECT_TRUE(read_file(path) == bytes) << size;
    EXPECT_FALSE(fs::exists(path + ".tmp"));
    struct stat facts {};
    ASSERT_EQ(::stat(path.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, 0600u);
  }
}

TEST_P(FileSinkTest, AnAbortedFileLeavesNothing) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, 2 * kMiB + 5}) {
    FileSink sink(directory_.file("f"), is_direct(), buffer_);
    sink.write(Bytes(size));
    sink.abort();
    EXPECT_EQ(directory_.names(), std::vector<std::string>());
    sink.abort();
  }
  { const FileSink forgotten(directory_.file("f"), is_direct(), buffer_); }
  EXPECT_EQ(directory_.names(), std::vector<std::string>());
}

TEST_P(FileSinkTest, AbortAfterFinishHasNoEffect) {
  FileSink sink(directory_.file("f"), is_direct(), buffer_);
  sink.write(bytes_of("x"));
  sink.finish();
  sink.abort();
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"f"});
}

TEST_P(FileSinkTest, RefusesToReplaceAFile) {
  write_file(directory_.file("f"), bytes_of("precious"));
  {
    FileSink sink(directory_.file("f"), is_direct(), buffer_);
    sink.write(bytes_of("new"));
    const std::optional<Error> error = error_of([&] { sink.finish(); });
    ASSERT_TRUE(error);
    EXPECT_STREQ(error->code(), "io_error");
    EXPECT_EQ(error->error_number, EEXIST);
  }
  EXPECT_EQ(directory_.names(), std::vector<std::string>{"f"});
  EXPECT_EQ(text_of(read_file(directory_.file("f"))), "precious");
}

TEST_P(FileSinkTest, RefusesATemporaryNameThatIsTaken) {
  // By another run, or by somebody who wants the file written elsewhere.
  write_file(directory_.file("victim"), bytes_of("precious"));
  fs::create_symlink(directory_.file("victim"), directory_.file("f.tmp"));
  EXPECT_EQ(code_of([&] { FileSink(directory_.file("f"), is_direct(), buffer_); }), "io_error");
  EXPECT_EQ(text_of(read_file(directory_.file("victim"))), "precious");
  write_file(directory_.file("g.tmp"), bytes_of("of another run"));
  EXPECT_EQ(code_of([&] { FileSink(directory_.file("g"), is_direct(), buffer_); }), "io_error");
  EXPECT_EQ(text_of(read_file(directory_.file("g.tmp"))), "of another run");
}

TEST_P(FileSinkTest, NamesAMissingOrForbiddenDirectory) {
  const std::optional<Error> error = error_of([&] { FileSink(directory_.file("none/f"), is_direct(), buffer_); });
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->code(), "io_error");
  EXPECT_EQ(error->path, directory_.file("none/f"));
  const TemporaryDirectory forbidden;
  fs::permissions(forbidden.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const AsOrdinaryUser user;
  EXPECT_EQ(code_of([&] { FileSink(forbidden.file("f"), is_direct(), buffer_); }), "not_writable");
}

TEST_P(FileSinkTest, ADirectoryThatCannotBeSyncedLeavesNothing) {
  // Written into, but not opened: the file gets its name before that shows.
  const TemporaryDirectory directory;
  fs::permissions(directory.path(), fs::perms{0333});
  {
    const AsOrdinaryUser user;
    FileSink sink(directory.file("f"), is_direct(), buffer_);
    sink.write(bytes_of("x"));
    EXPECT_EQ(code_of([&] { sink.finish(); }), "not_writable");
  }
  fs::permissions(directory.path(), fs::perms::owner_all);
  EXPECT_EQ(directory.names(), std::vector<std::string>());
}

TEST_P(FileSinkTest, AFileSizeLimitIsAFullDisk) {
  for (const std::size_t limit : {2 * kMiB, 2 * kMiB + 100}) {
    FileSink sink(directory_.file("f"), is_direct(), buffer_);
    const FileSizeLimit limited(limit);
    EXPECT_EQ(code_of([&] {
                sink.write(Bytes(3 * kMiB + 10));
                sink.finish();
              }),
              "disk_full");
    sink.abort();
    EXPECT_EQ(directory_.names(), std::vector<std::string>());
  }
}

TEST_P(FileSinkTest, AFullDiskLeavesNothing) {
  const SmallFileSystem small;
  if (!small.is_mounted()) GTEST_SKIP() << "only root may mount a small file system";
  {
    FileSink sink(small.directory().file("f"), is_direct(), buffer_);
    EXPECT_EQ(code_of([&] {
                for (int count = 0; count < 8; ++count) sink.write(Bytes(kMiB, std::byte{'x'}));
                sink.finish();
              }),
              "disk_full");
  }
  EXPECT_EQ(small.directory().names(), std::vector<std::string>());
  // Space is back.
  FileSink sink(small.directory().file("g"), is_direct(), buffer_);
  sink.write(Bytes(2 * kMiB));
  sink.finish();
  EXPECT_EQ(small.directory().names(), std::vector<std::string>{"g"});
}

TEST_P(FileSinkTest, ADiskThatIsFullAtTheEndLeavesNothing) {
  const SmallFileSystem small;
  if (!small.is_mounted()) GTEST_SKIP() << "only root may mount a small file system";
  {
    FileSink sink(small.directory().file("f"), is_direct(), buffer_);
    sink.write(Bytes(3 * kMiB + 1, std::byte{'x'}));
    EXPECT_EQ(code_of([&] { sink.finish(); }), "disk_full");
  }
  EXPECT_EQ(small.directory().names(), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Modes, FileSinkTest, testing::Values(false, true),
                         [](const auto& mode) { return mode.param ? "direct" : "buffered"; });

TEST(FileSink, UsesDirectWritesWhereTheFileSystemTakesThem) {
  const TemporaryDirectory directory(fs::current_path());
  BlockPool pool(1);
  Block buffer = pool.acquire({});
  const int probe = ::open(directory.file("probe").c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  const bool is_possible = probe >= 0;
  if (is_possible) ::close(probe);
  FileSink sink(directory.file("f"), true, buffer);
  EXPECT_EQ(sink.is_direct(), is_possible);
  sink.write(Bytes(kMiB));
  EXPECT_EQ(sink.is_direct(), is_possible);
  sink.finish();
  EXPECT_FALSE(FileSink(directory.file("g"), false, buffer).is_direct());
}

TEST(FileSink, FallsBackWhereDirectWritesAreRefused) {
  // /proc refuses O_DIRECT, but takes no files; an overlay or a tmpfs of older kernels refuses it too. What can be had everywhere is a
  // write that is not aligned.
  const TemporaryDirectory directory(fs::current_path());
  BlockPool pool(1);
  Block buffer = pool.acquire({});
  FileSink sink(directory.file("f"), true, buffer);
  if (!sink.is_direct()) GTEST_SKIP() << "this file system has no O_DIRECT";
  // A hole of 100 bytes in front makes every later offset unaligned, as a short write does.
  int fd = -1;
  for (int candidate = 3; candidate < 100 && fd < 0; ++candidate) {
    char target[4096] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(candidate);
    if (::readlink(link.c_str(), target, sizeof target - 1) > 0 &&
        std::string(target) == fs::canonical(directory.path()).string() + "/f.tmp")
      fd = candidate;
  }
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::lseek(fd, 100, SEEK_SET), 100);
  Random random(82);
  const Bytes bytes = random.bytes(2 * kMiB + 50);
  sink.write(bytes);
  EXPECT_FALSE(sink.is_direct());
  sink.finish();
  Bytes expected(100);
  append(expected, bytes);
  EXPECT_TRUE(read_file(directory.file("f")) == expected);
}

}  // namespace

}  // namespace dbbackup::test
