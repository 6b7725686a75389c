#include <algorithm>
#include <optional>

#include "codec/hasher.h"
#include "io/file_source.h"
#include "pg/row_format.h"
#include "pipeline/segment_reader.h"
#include "pipeline/worker.h"

namespace dbbackup {

namespace {

/// Reads one data file once, from front to back, and notes everything that is not as written.
class FileCheck {
 public:
  FileCheck(const CheckTask& task, Worker& worker) : task_(task), worker_(worker), hasher_(task.checksum_name) {}

  TaskResult run() {
    std::optional<FileSource> source;
    try {
      source.emplace(task_.path);
    } catch (const Error& error) {
      if (!error.is(code::kDataDamaged)) throw;
      find("missing", whole_file(), -1, -1, error.message());
      return std::move(result_);
    }
    if (source->size() != task_.size_bytes) {
      find("size", whole_file(), -1, -1,
           "the file has " + std::to_string(source->size()) + " bytes instead of " + std::to_string(task_.size_bytes));
    }
    read_segments(*source);
    check_checksum();
    result_.stored_bytes = source->size();
    worker_.counters.add_stored(source->size());
    return std::move(result_);
  }

 private:
  void find(const char* kind, const std::string& segment, std::int64_t frame, std::int64_t offset, std::string message) {
    result_.findings.push_back({kind, segment, frame, offset, std::move(message)});
  }

  /// Names the relation where damage of the file can only be damage of that one.
  std::string whole_file() const { return task_.segments.size() == 1 ? task_.segments.front().name : ""; }

  void read_segments(FileSource& source) {
    SegmentReader reader(source, task_.codec, worker_.pool, worker_.stop(), &hasher_);
    std::uint64_t position = 0;
    for (std::size_t index = 0; index < task_.segments.size(); ++index) {
      const SegmentSpec& segment = task_.segments[index];
      worker_.counters.begin_source(static_cast<std::int64_t>(index));
      if (segment.offset < position) throw Error(code::kDataDamaged, "segments overlap in " + task_.path);
      try {
        reader.begin(position, segment.offset - position);
        reader.skip_rest();
        reader.begin(segment.offset, segment.stored_bytes);
        read_segment(segment, reader);
        reader.skip_rest();
      } catch (const Error& error) {
        // The file ends inside this segment: nothing behind it can be read.
        if (!error.is(code::kDataDamaged)) throw;
        find("size", segment.name, reader.frame_index(), static_cast<std::int64_t>(reader.frame_offset()), error.message());
        return;
      }
      position = segment.offset + segment.stored_bytes;
    }
    if (source.size() > position) {
      reader.begin(position, source.size() - position);
      reader.skip_rest();
    }
  }

  /// Uncompressed data has no frames, hence no flags.
  void check_flag(std::uint32_t flags, std::uint32_t flag, const RowParser& parser) const {
    if (task_.codec == Codec::kNone || ((flags & flag) != 0) == parser.is_inside_row()) return;
    throw Error(code::kDataDamaged, "the frame's flags do not fit its rows");
  }

  void read_segment(const SegmentSpec& segment, SegmentReader& reader) {
    RowParser parser(segment.format);
    std::uint64_t rows_seen = 0;
    try {
      for (std::span<const std::byte> raw = reader.next(); !raw.empty(); raw = reader.next()) {
        check_flag(reader.frame_flags(), FrameHeader::kBeginsInsideRow, parser);
        parser.feed(raw);
        check_flag(reader.frame_flags(), FrameHeader::kEndsInsideRow, parser);
        worker_.counters.add_raw(raw.size(), parser.digest().rows - rows_seen);
        rows_seen = parser.digest().rows;
      }
      parser.finish();
    } catch (const Error& error) {
      if (!error.is(code::kDataDamaged)) throw;
      find("frame", segment.name, reader.frame_index(), static_cast<std::int64_t>(reader.frame_offset()), error.message());
      return;
    }
    result_.raw_bytes += parser.raw_bytes();
    result_.row_count += parser.digest().rows;
    if (parser.digest().rows != segment.row_count || parser.raw_bytes() != segment.raw_bytes) {
      find("rows", segment.name, -1, -1,
           "the segment holds " + std::to_string(parser.digest().rows) + " rows, " + std::to_string(segment.row_count) + " were backed up");
    } else if (parser.digest().hex() != segment.digest) {
      find("digest", segment.name, -1, -1, "the rows are not those that were backed up");
    }
  }

  void check_checksum() {
    if (hasher_.finish() == task_.checksum) return;
    find("checksum", whole_file(), -1, -1, "the file's checksum is not the one in the manifest");
  }

  const CheckTask& task_;
  Worker& worker_;
  Hasher hasher_;
  TaskResult result_;
};

}  // namespace

TaskResult run_check(const CheckTask& task, Worker& worker) { return FileCheck(task, worker).run(); }

}  // namespace dbbackup
