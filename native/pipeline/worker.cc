#include "pipeline/worker.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <utility>

namespace dbbackup {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

/// Runs a statement of a session's set-up. The server has several errors, in its own language, for a snapshot that nobody exports any more.
void set_up(Connection& connection, const std::string& sql) {
  try {
    connection.execute(sql);
  } catch (const Error& error) {
    if (error.pg.sqlstate.empty() || error.is(code::kConnectionLost) || !sql.starts_with("SET TRANSACTION SNAPSHOT")) throw;
    Error invalid(code::kSnapshotInvalid, error.message());
    invalid.pg = error.pg;
    throw invalid;
  }
}

}  // namespace

void WorkerCounters::begin_task(std::int64_t id) noexcept {
  source.store(0, kRelaxed);
  task_raw_bytes.store(0, kRelaxed);
  task_stored_bytes.store(0, kRelaxed);
  task_row_count.store(0, kRelaxed);
  task_id.store(id, kRelaxed);
}

void WorkerCounters::begin_source(std::int64_t index) noexcept { source.store(index, kRelaxed); }

void WorkerCounters::add_raw(std::uint64_t bytes, std::uint64_t rows) noexcept {
  task_raw_bytes.fetch_add(bytes, kRelaxed);
  task_row_count.fetch_add(rows, kRelaxed);
  raw_bytes.fetch_add(bytes, kRelaxed);
  row_count.fetch_add(rows, kRelaxed);
}

void WorkerCounters::add_stored(std::uint64_t bytes) noexcept {
  task_stored_bytes.fetch_add(bytes, kRelaxed);
  stored_bytes.fetch_add(bytes, kRelaxed);
}

void WorkerCounters::forget_task() noexcept {
  raw_bytes.fetch_sub(task_raw_bytes.load(kRelaxed), kRelaxed);
  stored_bytes.fetch_sub(task_stored_bytes.load(kRelaxed), kRelaxed);
  row_count.fetch_sub(task_row_count.load(kRelaxed), kRelaxed);
}

void WorkerCounters::end_task() noexcept { task_id.store(-1, kRelaxed); }

Connection& Worker::connection(const SessionSpec& session) {
  if (connection_ && session_key_ == session.key) return *connection_;
  close_connection();
  Connection opened(session.connection, stop_);
  {
    const std::lock_guard lock(connection_mutex_);
    connection_.emplace(std::move(opened));
    // Without it the worker cannot be watched, and runs all the same.
    socket_.reset(::fcntl(connection_->socket(), F_DUPFD_CLOEXEC, 0));
  }
  session_key_ = session.key;
  for (const std::string& sql : session.setup_sql) set_up(*connection_, sql);
  if (session.guard_sql && connection_->query_value(*session.guard_sql) != session.guard_expected) {
    connection_.reset();
    throw Error(code::kSnapshotInvalid, "the imported snapshot is not the one that was exported: the session that held it has ended");
  }
  return *connection_;
}

void Worker::drop_connection() noexcept {
  // Without the request a backend that sends nothing for a while, busy with dead pages, would hold its snapshot and locks on.
  if (connection_) connection_->cancel();
  close_connection();
}

void Worker::close_connection() noexcept {
  const std::lock_guard lock(connection_mutex_);
  socket_.reset();
  connection_.reset();
}

std::optional<WorkerProbe> Worker::probe(std::int64_t task_id) const noexcept {
  const std::lock_guard lock(connection_mutex_);
  if (counters.task_id.load(kRelaxed) != task_id) return std::nullopt;
  WorkerProbe probe;
  if (!connection_) return probe;
  probe.backend_pid = connection_->backend_pid();
  int unread_bytes = 0;
  if (::ioctl(socket_.get(), FIONREAD, &unread_bytes) == 0) probe.unread_bytes = unread_bytes;
  return probe;
}

bool Worker::sever(std::int64_t task_id) noexcept {
  const std::lock_guard lock(connection_mutex_);
  if (counters.task_id.load(kRelaxed) != task_id || !connection_) return false;
  return ::shutdown(socket_.get(), SHUT_RDWR) == 0;
}

}  // namespace dbbackup
