#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/row_digest.h"
#include "codec/names.h"
#include "pg/connection.h"
#include "pg/row_format.h"

/// What crosses the boundary to TypeScript, as plain structs. Field by field the same as `src/native/binding.ts`, where the fields are
/// described.
namespace dbbackup {

struct SessionSpec {
  std::string key;
  ConnectionSpec connection;
  std::vector<std::string> setup_sql;
  std::optional<std::string> guard_sql;
  std::optional<std::string> guard_expected;
};

struct CopyOutSource {
  std::string name;
  std::optional<std::string> lock_sql;
  std::optional<std::string> check_sql;
  std::optional<std::string> check_expected;
  std::string copy_sql;
  RowFormat format = RowFormat::kText;
};

struct FileSinkSpec {
  std::string directory;
  std::string stem;
  std::string extension;
  Codec codec = Codec::kZstd;
  int level = 1;
  Checksum checksum = Checksum::kXxh3;
  std::uint64_t max_stored_bytes = 0;
  bool is_direct = true;
};

struct CopyOutTask {
  SessionSpec session;
  std::vector<CopyOutSource> sources;
  std::optional<FileSinkSpec> sink;
};

struct SegmentSpec {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t raw_bytes = 0;
  std::uint64_t row_count = 0;
  std::string digest;
  RowFormat format = RowFormat::kText;
};

struct CopyInSegment : SegmentSpec {
  std::string path;
  Codec codec = Codec::kZstd;
  std::vector<std::string> begin_sql;
  std::string copy_sql;
  std::vector<std::string> end_sql;
};

struct CopyInTask {
  SessionSpec session;
  std::vector<CopyInSegment> segments;
};

struct CheckTask {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string checksum;
  Checksum checksum_name = Checksum::kXxh3;
  Codec codec = Codec::kZstd;
  std::vector<SegmentSpec> segments;
};

struct TaskSpec {
  std::int64_t task_id = 0;
  std::variant<CopyOutTask, CopyInTask, CheckTask> body;
};

struct FileResult {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string checksum;
};

struct SegmentResult {
  std::int64_t source = 0;
  std::int64_t file = -1;
  std::uint64_t offset = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t raw_bytes = 0;
  RowDigest digest;
};

struct Finding {
  std::string kind;
  std::string segment;
  std::int64_t frame = -1;
  std::int64_t offset = -1;
  std::string message;
};

struct TaskResult {
  std::int64_t task_id = 0;
  std::vector<FileResult> files;
  std::vector<SegmentResult> segments;
  std::vector<Finding> findings;
  std::uint64_t raw_bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t row_count = 0;
  double elapsed_ms = 0;
};

/// How a task ended: with a result, or with the first error.
struct Outcome {
  TaskResult result;
  std::optional<Error> error;
};

struct EngineOptions {
  int worker_count = 4;
  int encoder_count = 2;
  int blocks_per_worker = 8;
  /// Raw bytes read by all workers together; 0: no limit.
  std::uint64_t max_bytes_per_second = 0;
};

struct WorkerStats {
  std::int64_t task_id = 0;
  std::int64_t source = 0;
  std::uint64_t raw_bytes = 0;
  std::uint64_t row_count = 0;
};

/// What a watchdog asks about one busy worker.
struct WorkerProbe {
  /// Of the server process; 0 while there is no connection.
  int backend_pid = 0;
  /// Bytes that have arrived and were not read yet: none are there when it is the worker that waits.
  std::int64_t unread_bytes = 0;
};

struct EngineStats {
  std::uint64_t raw_bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t row_count = 0;
  /// Busy workers only.
  std::vector<WorkerStats> workers;
};

}  // namespace dbbackup
