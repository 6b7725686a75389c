#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/rate_limit.h"
#include "base/stop.h"
#include "base/unique_fd.h"
#include "memory/block_pool.h"
#include "pg/connection.h"
#include "pipeline/side_thread.h"
#include "pipeline/task.h"

namespace dbbackup {

class EncoderPool;

/// What one worker counts, read by others at any time. Relaxed: each number stands for itself.
struct WorkerCounters {
  std::atomic<std::int64_t> task_id{-1};
  std::atomic<std::int64_t> source{0};
  /// Of the current task, and of all tasks.
  std::atomic<std::uint64_t> task_raw_bytes{0}, task_stored_bytes{0}, task_row_count{0};
  std::atomic<std::uint64_t> raw_bytes{0}, stored_bytes{0}, row_count{0};

  void begin_task(std::int64_t id) noexcept;
  void begin_source(std::int64_t index) noexcept;
  void add_raw(std::uint64_t bytes, std::uint64_t rows) noexcept;
  void add_stored(std::uint64_t bytes) noexcept;
  /// Takes what the current task has added back: it failed, and whoever tries it again adds all of it once more.
  void forget_task() noexcept;
  void end_task() noexcept;
};

/// What a task runs with: memory, a connection kept between tasks, a second thread, counters. Used by one worker thread.
class Worker {
 public:
  Worker(const Stop& stop, EncoderPool& encoders, RateLimit& rate, int block_count)
      : pool(static_cast<std::size_t>(block_count)), encoders(encoders), rate(rate), stop_(stop) {}

  /// An open connection, set up as `session` says: the one of the previous task when the key is the same.
  Connection& connection(const SessionSpec& session);
  /// Closes the connection, after a cancel request when it may be running something: for the end of a failed task.
  void drop_connection() noexcept;
  const Stop& stop() const noexcept { return stop_; }

  /// What this worker's connection is at; nullopt when it is not at that task. Any thread.
  std::optional<WorkerProbe> probe(std::int64_t task_id) const noexcept;
  /// Shuts the socket of the connection that works on that task, which then fails with `connection_lost`. Any thread; false when there is
  /// none.
  bool sever(std::int64_t task_id) noexcept;

  BlockPool pool;
  EncoderPool& encoders;
  /// Of raw bytes that are read, shared by all workers.
  RateLimit& rate;
  SideThread side;
  WorkerCounters counters;

 private:
  void close_connection() noexcept;

  const Stop& stop_;
  /// Makes, moves and closes `connection_`, and is held by other threads while they look at it; the worker's own thread uses it without.
  mutable std::mutex connection_mutex_;
  std::optional<Connection> connection_;
  /// The same socket under a number of its own: libpq may close its own when it likes, and the number could be another file's by then.
  UniqueFd socket_;
  std::string session_key_;
};

/// Runs one task; the result's task_id and elapsed_ms are the caller's. Throws Error. After an error the connection must be dropped.
TaskResult run_copy_out(const CopyOutTask& task, Worker& worker);
TaskResult run_copy_in(const CopyInTask& task, Worker& worker);
TaskResult run_check(const CheckTask& task, Worker& worker);

}  // namespace dbbackup
