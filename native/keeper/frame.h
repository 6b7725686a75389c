#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What passes through the keeper's socket: frames of a length (u32, network byte order, of what follows), a type byte and fields.
/// A text is its length (u32) and its bytes; the length 0xffffffff is "no text". `src/keeper/frames.ts` is the other side.
namespace dbbackup::keeper {

/// A request's declared length may not exceed this: 4 million OIDs in one parameter.
inline constexpr std::uint32_t kMaxFrameBytes = 64U << 20;

struct Frame {
  char type = 0;
  std::string fields;
};

/// Cuts a stream of bytes into frames. Memory grows with the bytes that have come, never with a length that is only claimed.
class FrameBuffer {
 public:
  void append(std::span<const std::byte> bytes);
  /// The next complete frame; nullopt when more bytes are needed. Throws protocol_violation for a length of 0 or above the limit; nothing
  /// can be read any more after that.
  std::optional<Frame> next();

 private:
  std::string bytes_;
};

/// Reads the fields of one frame in order. Throws protocol_violation when they end too early or, in `end`, too late.
class FieldReader {
 public:
  explicit FieldReader(std::string_view fields) : rest_(fields) {}

  std::uint32_t number();
  /// Without NUL, where libpq would end it.
  std::string text();
  std::optional<std::string> text_or_null();
  std::vector<std::optional<std::string>> texts();
  void end() const;

 private:
  std::string_view take(std::size_t size);

  std::string_view rest_;
};

/// Puts one frame together.
class FrameWriter {
 public:
  explicit FrameWriter(char type);

  FrameWriter& number(std::uint32_t value);
  FrameWriter& text(std::string_view value);
  FrameWriter& text_or_null(std::optional<std::string_view> value);
  /// The whole frame; once.
  std::string finish();

 private:
  std::string bytes_;
};

}  // namespace dbbackup::keeper
