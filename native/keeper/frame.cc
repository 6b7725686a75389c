#include "keeper/frame.h"

#include "base/bytes.h"
#include "base/error.h"

namespace dbbackup::keeper {

namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::uint32_t kNoText = 0xffffffff;

std::uint32_t load_number(const char* at) { return load_be32(reinterpret_cast<const std::byte*>(at)); }

void store_number(char* at, std::uint32_t value) { store_be32(reinterpret_cast<std::byte*>(at), value); }

Error violation(const char* message) { return Error(code::kProtocolViolation, message); }

}  // namespace

void FrameBuffer::append(std::span<const std::byte> bytes) { bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }

std::optional<Frame> FrameBuffer::next() {
  if (bytes_.size() < kLengthBytes) return std::nullopt;
  const std::uint32_t length = load_number(bytes_.data());
  if (length == 0 || length > kMaxFrameBytes) throw violation("a frame of an impossible length");
  if (bytes_.size() - kLengthBytes < length) return std::nullopt;
  Frame frame{bytes_[kLengthBytes], bytes_.substr(kLengthBytes + 1, length - 1)};
  bytes_.erase(0, kLengthBytes + length);
  // What a large frame took is given back: the keeper lives on for hours.
  if (bytes_.empty()) bytes_.shrink_to_fit();
  return frame;
}

std::string_view FieldReader::take(std::size_t size) {
  if (size > rest_.size()) throw violation("a frame that ends in the middle of a field");
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

std::uint32_t FieldReader::number() { return load_number(take(kLengthBytes).data()); }

std::optional<std::string> FieldReader::text_or_null() {
  const std::uint32_t length = number();
  if (length == kNoText) return std::nullopt;
  std::string text(take(length));
  if (text.find('\0') != std::string::npos) throw violation("a text with a NUL");
  return text;
}

std::string FieldReader::text() {
  std::optional<std::string> text = text_or_null();
  if (!text) throw violation("a field without its text");
  return *std::move(text);
}

std::vector<std::optional<std::string>> FieldReader::texts() {
  const std::uint32_t count = number();
  // Each has a length at least: a count that the frame cannot hold reserves nothing.
  if (count > rest_.size() / kLengthBytes) throw violation("a frame that claims more fields than it holds");
  std::vector<std::optional<std::string>> texts;
  texts.reserve(count);
  for (std::uint32_t index = 0; index < count; ++index) texts.push_back(text_or_null());
  return texts;
}

void FieldReader::end() const {
  if (!rest_.empty()) throw violation("a frame that is longer than its fields");
}

FrameWriter::FrameWriter(char type) : bytes_(kLengthBytes, '\0') { bytes_.push_back(type); }

FrameWriter& FrameWriter::number(std::uint32_t value) {
  char bytes[kLengthBytes];
  store_number(bytes, value);
  bytes_.append(bytes, kLengthBytes);
  return *this;
}

FrameWriter& FrameWriter::text(std::string_view value) {
  number(static_cast<std::uint32_t>(value.size()));
  bytes_.append(value);
  return *this;
}

FrameWriter& FrameWriter::text_or_null(std::optional<std::string_view> value) { return value ? text(*value) : number(kNoText); }

std::string FrameWriter::finish() {
  store_number(bytes_.data(), static_cast<std::uint32_t>(bytes_.size() - kLengthBytes));
  return std::move(bytes_);
}

}  // namespace dbbackup::keeper
