#include <optional>

#include "io/file_source.h"
#include "pg/copy_writer.h"
#include "pipeline/segment_reader.h"
#include "pipeline/worker.h"

namespace dbbackup {

namespace {

/// Throws unless the rows that came out of a segment are the rows that went in.
void prove_equal(const CopyInSegment& segment, const RowParser& parser) {
  if (parser.digest().rows == segment.row_count && parser.raw_bytes() == segment.raw_bytes && parser.digest().hex() == segment.digest)
    return;
  throw Error(code::kDataDamaged, segment.name + ": the rows differ from those that were backed up (" +
                                      std::to_string(parser.digest().rows) + " of " + std::to_string(segment.row_count) + " rows)");
}

void load_segment(const CopyInSegment& segment, Connection& connection, Worker& worker) {
  FileSource source(segment.path);
  source.seek(segment.offset);
  SegmentReader reader(source, segment.codec, worker.pool, worker.stop(), nullptr);
  reader.begin(segment.offset, segment.stored_bytes);

  for (const std::string& sql : segment.begin_sql) connection.execute(sql);
  CopyWriter writer(connection, segment.copy_sql);
  RowParser parser(segment.format);
  std::uint64_t rows_seen = 0;
  for (std::span<const std::byte> raw = reader.next(); !raw.empty(); raw = reader.next()) {
    parser.feed(raw);
    writer.write(raw);
    worker.counters.add_raw(raw.size(), parser.digest().rows - rows_seen);
    rows_seen = parser.digest().rows;
  }
  parser.finish();
  // Before the server hears that the data is complete: a segment that differs is rolled back.
  prove_equal(segment, parser);
  const std::uint64_t stored_rows = writer.finish();
  if (stored_rows != segment.row_count) {
    throw Error(code::kServerError,
                "the server stored " + std::to_string(stored_rows) + " of " + std::to_string(segment.row_count) + " rows");
  }
  for (const std::string& sql : segment.end_sql) connection.execute(sql);
  worker.counters.add_stored(segment.stored_bytes);
}

}  // namespace

TaskResult run_copy_in(const CopyInTask& task, Worker& worker) {
  TaskResult result;
  Connection& connection = worker.connection(task.session);
  for (std::size_t index = 0; index < task.segments.size(); ++index) {
    const CopyInSegment& segment = task.segments[index];
    worker.counters.begin_source(static_cast<std::int64_t>(index));
    try {
      load_segment(segment, connection, worker);
    } catch (Error& error) {
      if (error.object.empty()) error.object = segment.name;
      if (error.path.empty() && error.is(code::kDataDamaged)) error.path = segment.path;
      throw;
    }
    result.raw_bytes += segment.raw_bytes;
    result.stored_bytes += segment.stored_bytes;
    result.row_count += segment.row_count;
  }
  return result;
}

}  // namespace dbbackup
