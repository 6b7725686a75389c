#pragma once

#include <ostream>
#include <span>
#include <string>

#include "base/error.h"
#include "codec/compressor.h"
#include "memory/block_pool.h"
#include "support/bytes.h"
#include "support/random.h"

namespace dbbackup::test {

inline constexpr Codec kCodecs[] = {Codec::kZstd, Codec::kLz4, Codec::kGzip, Codec::kNone};
/// Those whose frames have a header.
inline constexpr Codec kFramedCodecs[] = {Codec::kZstd, Codec::kLz4, Codec::kGzip};

inline std::string name_of(Codec codec) {
  switch (codec) {
    case Codec::kZstd: return "zstd";
    case Codec::kLz4: return "lz4";
    case Codec::kGzip: return "gzip";
    case Codec::kNone: return "none";
  }
  return "?";
}

}  // namespace dbbackup::test

namespace dbbackup {

/// How GoogleTest prints a parameter.
inline void PrintTo(Codec codec, std::ostream* out) { *out << test::name_of(codec); }

}  // namespace dbbackup

namespace dbbackup::test {

struct Sample {
  std::string name;
  Bytes bytes;
};

/// Input that differs in size and in how it compresses.
inline std::vector<Sample> samples() {
  Random random(11);
  Bytes text;
  while (text.size() < kBlockRawBytes)
    append(text, bytes_of(std::to_string(random.below(5000)) + "\tsome words that come again\t2024-01-01 00:00:00\n"));
  text.resize(kBlockRawBytes);
  const Bytes noise = random.bytes(kBlockRawBytes);
  // Beyond what the samples of the incompressibility test see: begins as noise, goes on as zeros.
  Bytes mixed = noise;
  std::fill(mixed.begin() + 600000, mixed.end(), std::byte{0});
  const auto first = [](const Bytes& bytes, std::size_t size) {
    return Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  };
  return {
      {"1 byte", first(noise, 1)},
      {"19 bytes", first(text, 19)},
      {"text of 16383 bytes", first(text, 16383)},
      {"noise of 16383 bytes", first(noise, 16383)},
      {"noise of 16384 bytes", first(noise, 16384)},
      {"noise of 131072 bytes", first(noise, 131072)},
      {"noise of 131073 bytes", first(noise, 131073)},
      {"zeros of 1 MiB", Bytes(kBlockRawBytes)},
      {"text of 1 MiB", std::move(text)},
      {"noise of 1 MiB", noise},
      {"noise of 1 MiB - 1", first(noise, kBlockRawBytes - 1)},
      {"noise and zeros of 1 MiB", std::move(mixed)},
  };
}

inline Bytes encode(FrameEncoder& encoder, Codec codec, int level, std::uint32_t flags, std::span<const std::byte> raw,
                    const Stop* stop = nullptr) {
  thread_local Bytes room(kBlockBytes);
  const std::size_t size = encoder.encode(codec, level, flags, raw, room, stop);
  return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size)};
}

/// Reads the header and decodes what follows it, as a reader of files does. Throws data_damaged where the header's sizes are not the
/// frame's.
inline Bytes decode(FrameDecoder& decoder, Codec codec, std::span<const std::byte> frame) {
  if (codec == Codec::kNone) return {frame.begin(), frame.end()};
  const std::size_t prefix_bytes = frame_prefix_bytes(codec);
  if (frame.size() < prefix_bytes) throw Error(code::kDataDamaged, "too short");
  const FrameHeader header = read_frame_prefix(codec, frame.first(prefix_bytes));
  const std::span<const std::byte> body = codec == Codec::kGzip ? frame : frame.subspan(prefix_bytes);
  if (header.stored_bytes > body.size()) throw Error(code::kDataDamaged, "the frame reaches beyond what there is");
  Bytes raw(header.raw_bytes);
  decoder.decode(codec, header, body.first(header.stored_bytes), raw);
  return raw;
}

}  // namespace dbbackup::test
