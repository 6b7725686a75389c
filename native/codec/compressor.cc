#include "codec/compressor.h"

#include <libdeflate.h>
#include <lz4frame.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/raw_zstd_frame.h"

namespace dbbackup {

namespace {

template <auto free_function>
struct Free {
  template <typename T>
  void operator()(T* handle) const noexcept {
    free_function(handle);
  }
};

/// From here on a block takes more than some 50 ms.
constexpr int kSlowZstdLevel = 13;

Error damaged(const std::string& what) { return Error(code::kDataDamaged, what); }

}  // namespace

bool is_incompressible(std::span<const std::byte> raw) {
  // Entropy of single bytes over a few spread samples: compressed, encrypted and random data come out at 8 bits a byte, everything with
  // structure below.
  constexpr std::size_t kSamples = 4;
  constexpr std::size_t kSampleBytes = 4096;
  constexpr double kThresholdBits = 7.94;
  if (raw.size() < kSamples * kSampleBytes) return false;
  std::array<std::uint32_t, 256> counts{};
  const std::size_t stride = (raw.size() - kSampleBytes) / (kSamples - 1);
  for (std::size_t sample = 0; sample < kSamples; ++sample) {
    const std::byte* const at = raw.data() + sample * stride;
    for (std::size_t index = 0; index < kSampleBytes; ++index) ++counts[static_cast<std::size_t>(at[index])];
  }
  constexpr double kTotal = kSamples * kSampleBytes;
  double bits = 0;
  for (const std::uint32_t count : counts) {
    if (count > 0) bits -= count / kTotal * std::log2(count / kTotal);
  }
  return bits > kThresholdBits;
}

struct FrameEncoder::Impl {
  std::unique_ptr<ZSTD_CCtx, Free<ZSTD_freeCCtx>> zstd;
  std::unique_ptr<LZ4F_cctx, Free<LZ4F_freeCompressionContext>> lz4;
  std::map<int, std::unique_ptr<libdeflate_compressor, Free<libdeflate_free_compressor>>> deflate;

  std::size_t encode_zstd(int level, std::span<const std::byte> raw, std::span<std::byte> into, const Stop* stop) {
    if (is_incompressible(raw)) return write_raw_zstd_frame(raw, into);
    if (!zstd) zstd.reset(ZSTD_createCCtx());
    if (!zstd) throw Error(code::kInternal, "out of memory for zstd");
    ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_contentSizeFlag, 1);
    if (stop != nullptr && level >= kSlowZstdLevel) return encode_zstd_in_steps(raw, into, *stop);
    return check_zstd(ZSTD_compress2(zstd.get(), into.data(), into.size(), raw.data(), raw.size()));
  }

  static std::size_t check_zstd(std::size_t result) {
    if (ZSTD_isError(result) != 0) throw Error(code::kInternal, std::string("zstd: ") + ZSTD_getErrorName(result));
    return result;
  }

  /// A frame like any other, made so that a stop is heeded within it. Both buffers stay where they are, so that zstd keeps no copies of
  /// them.
  std::size_t encode_zstd_in_steps(std::span<const std::byte> raw, std::span<std::byte> into, const Stop& stop) {
    check_zstd(ZSTD_CCtx_reset(zstd.get(), ZSTD_reset_session_only));
    check_zstd(ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_stableInBuffer, 1));
    check_zstd(ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_stableOutBuffer, 1));
    check_zstd(ZSTD_CCtx_setPledgedSrcSize(zstd.get(), raw.size()));
    ZSTD_inBuffer in{raw.data(), 0, 0};
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    for (;;) {
      stop.check();
      in.size = std::min(raw.size(), in.size + ZSTD_BLOCKSIZE_MAX);
      const bool is_last = in.size == raw.size();
      const std::size_t rest = check_zstd(ZSTD_compressStream2(zstd.get(), &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue));
      if (!is_last) continue;
      if (rest != 0) throw Error(code::kInternal, "zstd: the block does not fit its frame");
      return out.pos;
    }
  }

  std::size_t encode_lz4(int level, std::span<const std::byte> raw, std::span<std::byte> into) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max1MB;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.contentSize = raw.size();
    preferences.compressionLevel = level;
    const std::size_t size = LZ4F_compressFrame(into.data(), into.size(), raw.data(), raw.size(), &preferences);
    if (LZ4F_isError(size) != 0) throw Error(code::kInternal, std::string("lz4: ") + LZ4F_getErrorName(size));
    return size;
  }

  /// The deflate stream and trailer of a gzip member whose head is the frame's prefix.
  std::size_t encode_gzip(int level, std::span<const std::byte> raw, std::span<std::byte> into) {
    constexpr std::size_t kTrailerBytes = 8;
    if (is_incompressible(raw)) level = 0;
    auto& compressor = deflate[level];
    if (!compressor) compressor.reset(libdeflate_alloc_compressor(level));
    if (!compressor) throw Error(code::kInternal, "out of memory for libdeflate");
    const std::size_t size =
        libdeflate_deflate_compress(compressor.get(), raw.data(), raw.size(), into.data(), into.size() - kTrailerBytes);
    if (size == 0) throw Error(code::kInternal, "libdeflate: the block does not fit its frame");
    store_le32(into.data() + size, libdeflate_crc32(0, raw.data(), raw.size()));
    store_le32(into.data() + size + 4, static_cast<std::uint32_t>(raw.size()));
    return size + kTrailerBytes;
  }
};

FrameEncoder::FrameEncoder() : impl_(std::make_unique<Impl>()) {}
FrameEncoder::~FrameEncoder() = default;

std::size_t FrameEncoder::encode(Codec codec, int level, std::uint32_t flags, std::span<const std::byte> raw, std::span<std::byte> into,
                                 const Stop* stop) {
  const std::size_t prefix_bytes = frame_prefix_bytes(codec);
  const std::span<std::byte> body = into.subspan(prefix_bytes);
  std::size_t body_bytes = 0;
  switch (codec) {
    case Codec::kZstd: body_bytes = impl_->encode_zstd(level, raw, body, stop); break;
    case Codec::kLz4: body_bytes = impl_->encode_lz4(level, raw, body); break;
    case Codec::kGzip: body_bytes = impl_->encode_gzip(level, raw, body); break;
    case Codec::kNone: std::memcpy(body.data(), raw.data(), raw.size()); return raw.size();
  }
  const std::size_t stored_bytes = codec == Codec::kGzip ? prefix_bytes + body_bytes : body_bytes;
  write_frame_prefix(codec, {static_cast<std::uint32_t>(stored_bytes), static_cast<std::uint32_t>(raw.size()), flags}, into.data());
  return prefix_bytes + body_bytes;
}

struct FrameDecoder::Impl {
  std::unique_ptr<ZSTD_DCtx, Free<ZSTD_freeDCtx>> zstd;
  std::unique_ptr<LZ4F_dctx, Free<LZ4F_freeDecompressionContext>> lz4;
  std::unique_ptr<libdeflate_decompressor, Free<libdeflate_free_decompressor>> deflate;

  void decode_zstd(std::span<const std::byte> frame, std::span<std::byte> into) {
    if (!zstd) zstd.reset(ZSTD_createDCtx());
    if (!zstd) throw Error(code::kInternal, "out of memory for zstd");
    const std::size_t size = ZSTD_decompressDCtx(zstd.get(), into.data(), into.size(), frame.data(), frame.size());
    if (ZSTD_isError(size) != 0) throw damaged(std::string("zstd: ") + ZSTD_getErrorName(size));
    if (size != into.size()) throw damaged("the frame holds fewer bytes than its header says");
  }

  void decode_lz4(std::span<const std::byte> frame, std::span<std::byte> into) {
    if (!lz4) {
      LZ4F_dctx* context = nullptr;
      if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) throw Error(code::kInternal, "out of memory for lz4");
      lz4.reset(context);
    }
    LZ4F_resetDecompressionContext(lz4.get());
    std::size_t hint = 1;
    while (hint != 0) {
      std::size_t taken = frame.size();
      std::size_t made = into.size();
      hint = LZ4F_decompress(lz4.get(), into.data(), &made, frame.data(), &taken, nullptr);
      if (LZ4F_isError(hint) != 0) throw damaged(std::string("lz4: ") + LZ4F_getErrorName(hint));
      frame = frame.subspan(taken);
      into = into.subspan(made);
      if (hint != 0 && taken == 0 && made == 0) throw damaged("lz4: the frame does not end where its header says");
    }
    if (!frame.empty() || !into.empty()) throw damaged("the frame's size differs from its header");
  }

  void decode_gzip(std::span<const std::byte> member, std::span<std::byte> into) {
    if (!deflate) deflate.reset(libdeflate_alloc_decompressor());
    if (!deflate) throw Error(code::kInternal, "out of memory for libdeflate");
    std::size_t taken = 0;
    std::size_t made = 0;
    const libdeflate_result result =
        libdeflate_gzip_decompress_ex(deflate.get(), member.data(), member.size(), into.data(), into.size(), &taken, &made);
    if (result != LIBDEFLATE_SUCCESS) throw damaged("gzip: the member does not decode");
    if (taken != member.size() || made != into.size()) throw damaged("the frame's size differs from its header");
  }
};

FrameDecoder::FrameDecoder() : impl_(std::make_unique<Impl>()) {}
FrameDecoder::~FrameDecoder() = default;

void FrameDecoder::decode(Codec codec, const FrameHeader& header, std::span<const std::byte> frame, std::span<std::byte> into) {
  if (into.size() != header.raw_bytes) throw Error(code::kInternal, "decode was given a buffer of another size");
  switch (codec) {
    case Codec::kZstd: return impl_->decode_zstd(frame, into);
    case Codec::kLz4: return impl_->decode_lz4(frame, into);
    case Codec::kGzip: return impl_->decode_gzip(frame, into);
    case Codec::kNone: std::memcpy(into.data(), frame.data(), into.size()); return;
  }
}

}  // namespace dbbackup
