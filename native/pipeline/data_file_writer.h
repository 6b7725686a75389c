#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "codec/hasher.h"
#include "io/sink.h"
#include "memory/block_pool.h"
#include "pg/copy_reader.h"
#include "pipeline/task.h"

namespace dbbackup {

/// Lays frames out as segments in data files (`docs/format.md` section 3), going on in a next part where a file would exceed its bound.
/// One thread. Destroyed before `finish`, it removes all parts it has written.
class DataFileWriter {
 public:
  /// `buffer` is what the files, one after the other, are written from. Taken before any frame is under way: a file opened later could wait
  /// for ever for a block that only its own writing would free.
  DataFileWriter(const FileSinkSpec& spec, Block buffer);
  ~DataFileWriter();
  DataFileWriter(const DataFileWriter&) = delete;
  DataFileWriter& operator=(const DataFileWriter&) = delete;

  /// Appends a frame of `source`, which begins a segment after `end_source` or where the file is new.
  void write_frame(std::int64_t source, RowFormat format, std::span<const std::byte> frame, std::uint64_t raw_bytes,
                   const BlockFacts& facts);
  /// Ends `source`; one without rows gets a segment all the same.
  void end_source(std::int64_t source, RowFormat format);
  /// Publishes the last file. Afterwards `files` and `segments` are complete.
  void finish();

  std::vector<FileResult> files;
  std::vector<SegmentResult> segments;

 private:
  void open_file();
  void close_file();
  /// Ends the file where `bytes` more of a segment would take it beyond its bound. A file without bytes takes anything.
  void make_room(std::uint64_t bytes);
  void open_segment(std::int64_t source, RowFormat format);
  void close_segment();
  void append(std::span<const std::byte> bytes);
  std::string path_of(const std::string& relative) const { return spec_.directory + "/" + relative; }

  const FileSinkSpec& spec_;
  Block buffer_;
  /// The binary header and trailer, each as a frame of its own.
  std::vector<std::byte> header_frame_, trailer_frame_;
  std::unique_ptr<Sink> sink_;
  std::optional<Hasher> hasher_;
  std::uint64_t file_bytes_ = 0;
  bool is_segment_open_ = false;
  RowFormat segment_format_ = RowFormat::kText;
  bool is_finished_ = false;
};

}  // namespace dbbackup
