// Every frame decodes alone with the stock tool of its codec, and so do frames one after the other: `docs/format.md` sections 3 and 4.
#include <gtest/gtest.h>

#include "codec/samples.h"
#include "support/child.h"

namespace dbbackup::test {

namespace {

const char* tool_of(Codec codec) { return codec == Codec::kZstd ? "zstd" : codec == Codec::kLz4 ? "lz4" : "gzip"; }

void expect_stock_tool_decodes(Codec codec, std::span<const std::byte> stored, const Bytes& raw, const std::string& what) {
  const ChildResult result = run_child({tool_of(codec), "-dc"}, stored);
  EXPECT_EQ(result.status, 0) << name_of(codec) << ' ' << what;
  EXPECT_TRUE(result.output == raw) << name_of(codec) << ' ' << what;
}

TEST(StockTools, DecodeEveryFrame) {
  FrameEncoder encoder;
  for (const Sample& sample : samples()) {
    for (const Codec codec : kFramedCodecs)
      expect_stock_tool_decodes(codec, encode(encoder, codec, 1, 0, sample.bytes), sample.bytes, sample.name);
  }
}

TEST(StockTools, DecodeFramesInARow) {
  FrameEncoder encoder;
  for (const Codec codec : kFramedCodecs) {
    Bytes stored, raw;
    for (const Sample& sample : samples()) {
      append(stored, encode(encoder, codec, 3, FrameHeader::kBeginsInsideRow, sample.bytes));
      append(raw, sample.bytes);
    }
    expect_stock_tool_decodes(codec, stored, raw, "all samples");
  }
}

TEST(StockTools, TestEveryFrame) {
  FrameEncoder encoder;
  const Bytes raw = bytes_of(std::string(2000, 'x'));
  for (const Codec codec : kFramedCodecs) {
    Bytes frame = encode(encoder, codec, 1, 0, raw);
    EXPECT_EQ(run_child({tool_of(codec), "-t"}, frame).status, 0) << name_of(codec);
  }
}

}  // namespace

}  // namespace dbbackup::test
