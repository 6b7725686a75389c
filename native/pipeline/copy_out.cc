#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "pg/copy_reader.h"
#include "pipeline/data_file_writer.h"
#include "pipeline/encoder_pool.h"
#include "pipeline/worker.h"

namespace dbbackup {

namespace {

/// One step of the writing half: a frame of a source, or, without one, the source's end.
struct WriteStep {
  std::int64_t source = 0;
  RowFormat format = RowFormat::kText;
  BlockFacts facts;
  std::unique_ptr<EncodeJob> job;
};

/// Steps on their way from the reading to the writing half, in order. Bounded by the worker's blocks: each frame holds two.
class WriteQueue {
 public:
  void push(WriteStep step) {
    const std::lock_guard lock(mutex_);
    steps_.push_back(std::move(step));
    changed_.notify_all();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    changed_.notify_all();
  }
  /// nullopt when the queue is closed and empty.
  std::optional<WriteStep> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_closed_ || !steps_.empty(); });
    if (steps_.empty()) return std::nullopt;
    WriteStep step = std::move(steps_.front());
    steps_.pop_front();
    return step;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<WriteStep> steps_;
  bool is_closed_ = false;
};

/// The writing half: collects frames in order and stores them. After an error it goes on collecting, so that no job outlives its blocks.
class WritingHalf {
 public:
  WritingHalf(const FileSinkSpec& spec, Worker& worker) : worker_(worker), writer_(spec, worker.pool.acquire(worker.stop().token())) {
    worker_.side.start([this] { run(); });
  }
  ~WritingHalf() {
    // Without effect after `finish`; otherwise what is still queued need not be written.
    has_failed_.store(true, std::memory_order_release);
    join();
  }

  void push(WriteStep step) {
    if (has_failed_.load(std::memory_order_acquire)) throw_error();
    queue_.push(std::move(step));
  }

  /// Waits for the last frame and publishes the files. Throws the first error of this half.
  DataFileWriter& finish() {
    join();
    throw_error();
    writer_.finish();
    return writer_;
  }

 private:
  void join() {
    queue_.close();
    worker_.side.wait();
  }

  void throw_error() {
    const std::lock_guard lock(mutex_);
    if (error_) throw *error_;
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    // The first one wins: those behind it follow from it.
    if (!error_) error_ = std::move(error);
    has_failed_.store(true, std::memory_order_release);
  }

  void run() {
    while (std::optional<WriteStep> step = queue_.pop()) {
      try {
        if (step->job) step->job->wait();
        if (has_failed_.load(std::memory_order_relaxed)) continue;
        worker_.stop().check();
        if (!step->job) {
          writer_.end_source(step->source, step->format);
          continue;
        }
        const std::uint64_t raw_bytes = step->job->raw.size;
        step->job->raw = Block();
        writer_.write_frame(step->source, step->format, step->job->frame.bytes(), raw_bytes, step->facts);
        worker_.counters.add_stored(step->job->frame.size);
      } catch (const Error& error) {
        fail(error);
      } catch (const std::exception& error) {
        fail(Error(code::kInternal, error.what()));
      }
    }
  }

  Worker& worker_;
  DataFileWriter writer_;
  WriteQueue queue_;
  std::atomic<bool> has_failed_{false};
  std::mutex mutex_;
  std::optional<Error> error_;
};

/// Locks the source and proves that it still is what the snapshot sees.
void prepare(Connection& connection, const CopyOutSource& source) {
  if (source.lock_sql) connection.execute(*source.lock_sql);
  if (!source.check_sql) return;
  const std::optional<std::string> found = connection.query_value(*source.check_sql);
  if (found != source.check_expected) {
    throw Error(code::kRelationChanged, source.name + " was rewritten or dropped after the snapshot was taken");
  }
}

}  // namespace

TaskResult run_copy_out(const CopyOutTask& task, Worker& worker) {
  TaskResult result;
  Connection& connection = worker.connection(task.session);
  Block receive_buffer = worker.pool.acquire(worker.stop().token());
  std::optional<WritingHalf> writing;
  if (task.sink) writing.emplace(*task.sink, worker);

  for (std::size_t index = 0; index < task.sources.size(); ++index) {
    const CopyOutSource& source = task.sources[index];
    const auto number = static_cast<std::int64_t>(index);
    worker.counters.begin_source(number);
    try {
      prepare(connection, source);
      // A quarter of a block is plenty for messages that do not go straight to their place, and stays in the cache.
      CopyReader reader(start_copy_out(connection, source.copy_sql, {receive_buffer.data(), kBlockRawBytes / 4}), source.format);
      SegmentResult digested{number, -1, 0, 0, 0, {}};
      Block block = worker.pool.acquire(worker.stop().token());
      for (BlockFacts facts; reader.read(block, facts);) {
        result.raw_bytes += block.size;
        result.row_count += facts.digest.rows;
        worker.counters.add_raw(block.size, facts.digest.rows);
        worker.rate.take(block.size, worker.stop().token());
        worker.stop().check();
        if (!writing) {
          digested.raw_bytes += block.size;
          digested.digest.add(facts.digest);
          continue;
        }
        WriteStep step{number, source.format, facts, std::make_unique<EncodeJob>()};
        EncodeJob* const job = step.job.get();
        job->raw = std::move(block);
        job->frame = worker.pool.acquire(worker.stop().token());
        job->codec = task.sink->codec;
        job->level = task.sink->level;
        job->stop = &worker.stop();
        job->flags =
            (facts.begins_inside_row ? FrameHeader::kBeginsInsideRow : 0) | (facts.ends_inside_row ? FrameHeader::kEndsInsideRow : 0);
        // Queued for the writer first: whatever happens next, it waits for the job before the blocks go home.
        writing->push(std::move(step));
        worker.encoders.submit(job);
        block = worker.pool.acquire(worker.stop().token());
      }
      if (writing) {
        writing->push({number, source.format, {}, nullptr});
      } else {
        result.segments.push_back(digested);
      }
    } catch (Error& error) {
      if (error.object.empty()) error.object = source.name;
      throw;
    }
  }

  if (writing) {
    DataFileWriter& written = writing->finish();
    result.files = std::move(written.files);
    result.segments = std::move(written.segments);
    for (const FileResult& file : result.files) result.stored_bytes += file.size_bytes;
  }
  return result;
}

}  // namespace dbbackup
