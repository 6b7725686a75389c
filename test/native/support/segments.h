#pragma once

#include <stdexcept>
#include <string>

#include "codec/names.h"
#include "pipeline/task.h"
#include "support/bytes.h"
#include "support/child.h"

namespace dbbackup::test {

/// The COPY stream of one segment, cut out of its file and decoded as `restore.sh` does it, with stock tools alone. Throws where a tool
/// fails.
inline Bytes decode_with_stock_tools(Codec codec, std::span<const std::byte> file, const SegmentResult& segment) {
  const std::span<const std::byte> stored = file.subspan(segment.offset, segment.stored_bytes);
  if (codec == Codec::kNone || stored.empty()) return {stored.begin(), stored.end()};
  const char* const tool = codec == Codec::kZstd ? "zstd" : codec == Codec::kLz4 ? "lz4" : "gzip";
  ChildResult result = run_child({tool, "-dc"}, stored);
  if (result.status != 0) throw std::runtime_error(std::string(tool) + " ended with status " + std::to_string(result.status));
  return std::move(result.output);
}

inline std::string extension_of(Codec codec) {
  return codec == Codec::kZstd ? ".zst" : codec == Codec::kLz4 ? ".lz4" : codec == Codec::kGzip ? ".gz" : ".copy";
}

/// The task that proves one file of a copy out. `formats`: of each source.
inline CheckTask check_of(const std::string& directory, const TaskResult& result, std::size_t file, Codec codec, Checksum checksum,
                          const std::vector<RowFormat>& formats) {
  CheckTask task;
  task.path = directory + "/" + result.files.at(file).path;
  task.size_bytes = result.files[file].size_bytes;
  task.checksum = result.files[file].checksum;
  task.checksum_name = checksum;
  task.codec = codec;
  for (const SegmentResult& segment : result.segments) {
    if (segment.file != static_cast<std::int64_t>(file)) continue;
    SegmentSpec spec;
    spec.name = "source " + std::to_string(segment.source);
    spec.offset = segment.offset;
    spec.stored_bytes = segment.stored_bytes;
    spec.raw_bytes = segment.raw_bytes;
    spec.row_count = segment.digest.rows;
    spec.digest = segment.digest.hex();
    spec.format = formats.at(static_cast<std::size_t>(segment.source));
    task.segments.push_back(std::move(spec));
  }
  return task;
}

}  // namespace dbbackup::test
