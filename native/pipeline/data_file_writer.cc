#include "pipeline/data_file_writer.h"

#include <unistd.h>

#include <cstdio>

#include "codec/compressor.h"
#include "io/file_sink.h"

namespace dbbackup {

namespace {

std::vector<std::byte> small_frame(const FileSinkSpec& spec, std::span<const std::byte> raw) {
  std::vector<std::byte> frame(1024);
  FrameEncoder encoder;
  frame.resize(encoder.encode(spec.codec, spec.level, 0, raw, frame));
  return frame;
}

/// More than any codec adds to a block that does not compress.
constexpr std::uint64_t kMostFrameOverhead = 1024;

/// What the rest of a row may take when stored: the frames it goes on in, the last one filled up with further rows.
std::uint64_t most_stored_bytes(std::uint64_t row_bytes_left) {
  const std::uint64_t frames = (row_bytes_left + kBlockRawBytes - 1) / kBlockRawBytes;
  return frames * (kBlockRawBytes + kMostFrameOverhead);
}

}  // namespace

DataFileWriter::DataFileWriter(const FileSinkSpec& spec, Block buffer)
    : spec_(spec),
      buffer_(std::move(buffer)),
      header_frame_(small_frame(spec, binary_header())),
      trailer_frame_(small_frame(spec, binary_trailer())) {}

DataFileWriter::~DataFileWriter() {
  if (is_finished_) return;
  if (sink_) sink_->abort();
  // Parts published before the failure belong to no backup.
  for (const FileResult& file : files) {
    if (!file.checksum.empty()) ::unlink(path_of(file.path).c_str());
  }
}

void DataFileWriter::open_file() {
  char part[24];
  std::snprintf(part, sizeof part, "-p%03zu", files.size() + 1);
  files.push_back({spec_.stem + part + spec_.extension, 0, ""});
  sink_ = std::make_unique<FileSink>(path_of(files.back().path), spec_.is_direct, buffer_);
  hasher_.emplace(spec_.checksum);
}

void DataFileWriter::close_file() {
  sink_->finish();
  files.back().size_bytes = file_bytes_;
  files.back().checksum = hasher_->finish();
  file_bytes_ = 0;
  sink_.reset();
}

void DataFileWriter::make_room(std::uint64_t bytes) {
  if (file_bytes_ == 0 || file_bytes_ + header_frame_.size() + bytes + trailer_frame_.size() <= spec_.max_stored_bytes) return;
  if (is_segment_open_) close_segment();
  close_file();
}

void DataFileWriter::append(std::span<const std::byte> bytes) {
  sink_->write(bytes);
  hasher_->update(bytes);
  file_bytes_ += bytes.size();
  segments.back().stored_bytes += bytes.size();
}

void DataFileWriter::open_segment(std::int64_t source, RowFormat format) {
  if (!sink_) open_file();
  segments.push_back({source, static_cast<std::int64_t>(files.size()) - 1, file_bytes_, 0, 0, {}});
  segment_format_ = format;
  is_segment_open_ = true;
  if (format == RowFormat::kBinary) append(header_frame_);
}

void DataFileWriter::close_segment() {
  if (segment_format_ == RowFormat::kBinary) append(trailer_frame_);
  is_segment_open_ = false;
}

void DataFileWriter::write_frame(std::int64_t source, RowFormat format, std::span<const std::byte> frame, std::uint64_t raw_bytes,
                                 const BlockFacts& facts) {
  if (!facts.begins_inside_row) make_room(frame.size() + most_stored_bytes(facts.row_bytes_left));
  if (!is_segment_open_) open_segment(source, format);
  append(frame);
  SegmentResult& segment = segments.back();
  segment.raw_bytes += raw_bytes;
  segment.digest.add(facts.digest);
}

void DataFileWriter::end_source(std::int64_t source, RowFormat format) {
  const bool has_segment = !segments.empty() && segments.back().source == source;
  if (!is_segment_open_ && !has_segment) {
    if (format == RowFormat::kBinary) make_room(0);
    open_segment(source, format);
  }
  if (is_segment_open_) close_segment();
}

void DataFileWriter::finish() {
  if (sink_) close_file();
  is_finished_ = true;
}

}  // namespace dbbackup
