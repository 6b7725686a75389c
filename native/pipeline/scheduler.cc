#include "pipeline/scheduler.h"

#include <algorithm>
#include <chrono>

#include "pipeline/encoder_pool.h"
#include "pipeline/worker.h"

namespace dbbackup {

namespace {

constexpr int kMostThreads = 256;
/// A copy out holds a receive buffer, a write buffer, a block and its frame.
constexpr int kFewestBlocks = 4;

void check_options(const EngineOptions& options) {
  if (options.worker_count < 1 || options.worker_count > kMostThreads) throw Error(code::kUsage, "workerCount is out of range");
  if (options.encoder_count < 1 || options.encoder_count > kMostThreads) throw Error(code::kUsage, "encoderCount is out of range");
  if (options.blocks_per_worker < kFewestBlocks || options.blocks_per_worker > 4096)
    throw Error(code::kUsage, "blocksPerWorker is out of range");
}

Outcome cancelled(std::int64_t task_id) {
  Outcome outcome;
  outcome.result.task_id = task_id;
  outcome.error = Error(code::kCancelled, "cancelled");
  return outcome;
}

TaskResult run_body(const TaskSpec& task, Worker& worker) {
  struct Runner {
    Worker& worker;
    TaskResult operator()(const CopyOutTask& body) const { return run_copy_out(body, worker); }
    TaskResult operator()(const CopyInTask& body) const { return run_copy_in(body, worker); }
    TaskResult operator()(const CheckTask& body) const { return run_check(body, worker); }
  };
  return std::visit(Runner{worker}, task.body);
}

/// The one place where an exception of the data path becomes part of an outcome.
Outcome run_task(const TaskSpec& task, Worker& worker) {
  Outcome outcome;
  const auto begin = std::chrono::steady_clock::now();
  worker.counters.begin_task(task.task_id);
  try {
    outcome.result = run_body(task, worker);
  } catch (const Error& error) {
    outcome.error = error;
  } catch (const std::exception& error) {
    outcome.error = Error(code::kInternal, error.what());
  }
  if (outcome.error) {
    worker.drop_connection();
    if (!worker.stop().requested()) worker.counters.forget_task();
  }
  // A socket that breaks because of the stop is a cancellation, whatever it looked like.
  if (outcome.error && worker.stop().requested() && outcome.error->is(code::kConnectionLost)) outcome = cancelled(task.task_id);
  worker.counters.end_task();
  outcome.result.task_id = task.task_id;
  outcome.result.elapsed_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return outcome;
}

}  // namespace

Scheduler::Scheduler(const EngineOptions& options) : rate_(options.max_bytes_per_second) {
  check_options(options);
  encoders_ = std::make_unique<EncoderPool>(options.encoder_count);
  for (int index = 0; index < options.worker_count; ++index) {
    workers_.push_back(std::make_unique<Worker>(stop_, *encoders_, rate_, options.blocks_per_worker));
  }
  try {
    for (const auto& worker : workers_) threads_.emplace_back([this, &worker = *worker] { run_worker(worker); });
  } catch (...) {
    // The threads that did start wait for this stop, and are joined on the way out.
    stop();
    throw;
  }
}

Scheduler::~Scheduler() {
  stop();
  threads_.clear();
  for (Job& job : jobs_) job.done(cancelled(job.task.task_id));
}

void Scheduler::submit(TaskSpec task, Completion done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stop_.requested()) {
      jobs_.push_back({std::move(task), std::move(done)});
      submitted_.notify_one();
      return;
    }
  }
  done(cancelled(task.task_id));
}

EngineStats Scheduler::stats() const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  EngineStats stats;
  for (const auto& worker : workers_) {
    const WorkerCounters& counters = worker->counters;
    stats.raw_bytes += counters.raw_bytes.load(kRelaxed);
    stats.stored_bytes += counters.stored_bytes.load(kRelaxed);
    stats.row_count += counters.row_count.load(kRelaxed);
    const std::int64_t task_id = counters.task_id.load(kRelaxed);
    if (task_id < 0) continue;
    stats.workers.push_back(
        {task_id, counters.source.load(kRelaxed), counters.task_raw_bytes.load(kRelaxed), counters.task_row_count.load(kRelaxed)});
  }
  return stats;
}

std::optional<WorkerProbe> Scheduler::probe(std::int64_t task_id) const {
  for (const auto& worker : workers_) {
    if (const auto probe = worker->probe(task_id)) return probe;
  }
  return std::nullopt;
}

bool Scheduler::sever(std::int64_t task_id) noexcept {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& worker) { return worker->sever(task_id); });
}

void Scheduler::stop() noexcept {
  stop_.request();
  // Wakes the workers, so that they complete what is queued.
  submitted_.notify_all();
}

void Scheduler::run_worker(Worker& worker) {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      submitted_.wait(lock, stop_.token(), [this] { return !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job.done(stop_.requested() ? cancelled(job.task.task_id) : run_task(job.task, worker));
  }
}

}  // namespace dbbackup
