#include "pg/wire.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "pg/result.h"
#include "pg/transport.h"

namespace dbbackup {

namespace {

/// Protocol version 3 messages: a type byte, then a length that counts itself (PostgreSQL manual, "Message Formats").
constexpr std::size_t kHeaderBytes = 5;
/// Messages other than CopyData are small; an error message this long is none.
constexpr std::size_t kLongestControlMessage = std::size_t{1} << 20;
constexpr std::size_t kLongestMessage = 0x7fffffff;

/// Body of an ErrorResponse or NoticeResponse: pairs of a field code and a text, ended by a zero byte.
PgFields parse_fields(std::string_view body) {
  PgFields fields;
  while (!body.empty() && body.front() != '\0') {
    const char field = body.front();
    const std::size_t end = std::min(body.find('\0', 1), body.size());
    const std::string value(body.substr(1, end - 1));
    body.remove_prefix(std::min(end + 1, body.size()));
    switch (field) {
      case 'V': fields.severity = value; break;
      case 'C': fields.sqlstate = value; break;
      case 'M': fields.message = value; break;
      case 'D': fields.detail = value; break;
      case 'H': fields.hint = value; break;
      case 'P': fields.position = value; break;
      case 's': fields.schema = value; break;
      case 't': fields.table = value; break;
      default: break;
    }
  }
  return fields;
}

/// `COPY 42` → 42.
std::uint64_t rows_of_tag(std::string_view tag) {
  std::uint64_t rows = 0;
  if (!tag.starts_with("COPY ")) throw Error(code::kProtocolViolation, "unexpected command tag after COPY");
  tag.remove_prefix(5);
  if (std::from_chars(tag.data(), tag.data() + tag.size(), rows).ec != std::errc{})
    throw Error(code::kProtocolViolation, "COPY's command tag has no row count");
  return rows;
}

/// Reads the protocol itself.
class FrameStream final : public CopyStream {
 public:
  FrameStream(std::unique_ptr<Transport> transport, const std::string& sql, std::span<std::byte> buffer)
      : transport_(std::move(transport)), buffer_(buffer) {
    std::vector<std::byte> query(kHeaderBytes + sql.size() + 1);
    query[0] = std::byte{'Q'};
    store_be32(query.data() + 1, static_cast<std::uint32_t>(sql.size() + 5));
    std::memcpy(query.data() + kHeaderBytes, sql.c_str(), sql.size() + 1);
    transport_->send(query);
    expect_copy_out();
  }

  bool next(std::size_t& length) override {
    for (;;) {
      const auto [type, size] = header();
      if (type == 'd') {
        length = size;
        return true;
      }
      if (type == 'c') {
        skip(size);
        finish();
        return false;
      }
      control(type, size);
    }
  }

  const std::byte* view(std::size_t length) override {
    if (buffered() < length) return nullptr;
    const std::byte* const at = buffer_.data() + begin_;
    begin_ += length;
    return at;
  }

  void read(std::span<std::byte> into) override {
    const std::size_t ready = std::min(into.size(), buffered());
    std::memcpy(into.data(), buffer_.data() + begin_, ready);
    begin_ += ready;
    into = into.subspan(ready);
    while (!into.empty()) {
      // The buffer is empty here: what arrives goes straight to its place, what lies beyond this payload into the buffer.
      const std::size_t size = transport_->receive(into, buffer_);
      const std::size_t used = std::min(size, into.size());
      into = into.subspan(used);
      begin_ = 0;
      end_ = size - used;
    }
  }

  std::uint64_t row_count() const override { return row_count_; }

 private:
  struct Header {
    char type;
    std::size_t size;
  };

  std::size_t buffered() const noexcept { return end_ - begin_; }

  void fill(std::size_t wanted) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (buffer_.size() - begin_ < wanted) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
      end_ -= begin_;
      begin_ = 0;
    }
    while (buffered() < wanted) end_ += transport_->receive(buffer_.subspan(end_), {});
  }

  Header header() {
    fill(kHeaderBytes);
    const std::byte* const at = buffer_.data() + begin_;
    const std::uint32_t length = load_be32(at + 1);
    if (length < 4 || length > kLongestMessage) throw Error(code::kProtocolViolation, "the server sent a message of impossible length");
    begin_ += kHeaderBytes;
    return {static_cast<char>(at[0]), length - 4};
  }

  std::string body(std::size_t size) {
    if (size > kLongestControlMessage) throw Error(code::kProtocolViolation, "the server sent a control message of impossible length");
    std::string text(size, '\0');
    read(std::as_writable_bytes(std::span(text)));
    return text;
  }

  void skip(std::size_t size) { (void)body(size); }

  /// A message that may come at any time, or an error, after which the server goes on to ReadyForQuery.
  void control(char type, std::size_t size) {
    switch (type) {
      case 'N':  // NoticeResponse
      case 'S':  // ParameterStatus
      case 'A':  // NotificationResponse
        skip(size);
        return;
      case 'E': throw Error::from_server(parse_fields(body(size)));
      default: throw Error(code::kProtocolViolation, std::string("the server sent an unexpected message of type ") + type);
    }
  }

  void expect_copy_out() {
    for (;;) {
      const auto [type, size] = header();
      if (type == 'H') {
        skip(size);
        return;
      }
      control(type, size);
    }
  }

  void finish() {
    bool is_complete = false;
    for (;;) {
      const auto [type, size] = header();
      if (type == 'C') {
        const std::string tag = body(size);
        row_count_ = rows_of_tag(std::string_view(tag.c_str()));
        is_complete = true;
      } else if (type == 'Z') {
        skip(size);
        if (!is_complete) throw Error(code::kProtocolViolation, "the server ended COPY without a command tag");
        take_idle_messages();
        return;
      } else {
        control(type, size);
      }
    }
  }

  /// What an idle server may send at any time, and has sent already; what comes later is libpq's to read.
  void take_idle_messages() {
    while (buffered() != 0) {
      const auto [type, size] = header();
      control(type, size);
    }
  }

  std::unique_ptr<Transport> transport_;
  std::span<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t row_count_ = 0;
};

/// Reads through libpq: for connections whose encryption libpq keeps to itself. One allocation and copy a row.
class LibpqStream final : public CopyStream {
 public:
  LibpqStream(Connection& connection, const std::string& sql) : connection_(connection) {
    PGconn* const conn = connection_.get();
    if (PQsendQuery(conn, sql.c_str()) == 0) throw broken_connection(connection_);
    while (PQflush(conn) > 0) wait(POLLIN | POLLOUT);
    const ResultPtr result = next_result(connection_);
    if (PQresultStatus(result.get()) != PGRES_COPY_OUT) throw unexpected_result(connection_, result.get());
  }

  bool next(std::size_t& length) override {
    for (;;) {
      char* data = nullptr;
      const int size = PQgetCopyData(connection_.get(), &data, 1);
      row_.reset(data);
      if (size > 0) {
        length = static_cast<std::size_t>(size);
        at_ = reinterpret_cast<const std::byte*>(data);
        return true;
      }
      if (size == 0) {
        wait(POLLIN);
        if (PQconsumeInput(connection_.get()) == 0) throw broken_connection(connection_);
        continue;
      }
      const ResultPtr result = next_result(connection_);
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw unexpected_result(connection_, result.get());
      row_count_ = rows_of_tag(PQcmdStatus(result.get()));
      while (next_result(connection_)) {}
      return false;
    }
  }

  const std::byte* view(std::size_t length) override {
    const std::byte* const at = at_;
    at_ += length;
    return at;
  }

  void read(std::span<std::byte> into) override { std::memcpy(into.data(), view(into.size()), into.size()); }

  std::uint64_t row_count() const override { return row_count_; }

 private:
  struct FreeMemory {
    void operator()(char* memory) const noexcept { PQfreemem(memory); }
  };
  void wait(short events) const { connection_.stop().wait(PQsocket(connection_.get()), events); }

  Connection& connection_;
  std::unique_ptr<char, FreeMemory> row_;
  const std::byte* at_ = nullptr;
  std::uint64_t row_count_ = 0;
};

}  // namespace

std::unique_ptr<CopyStream> start_copy_out(Connection& connection, const std::string& copy_sql, std::span<std::byte> receive_buffer,
                                           bool is_libpq_forced) {
  std::unique_ptr<Transport> transport = is_libpq_forced ? nullptr : open_transport(connection);
  if (!transport) return std::make_unique<LibpqStream>(connection, copy_sql);
  return std::make_unique<FrameStream>(std::move(transport), copy_sql, receive_buffer);
}

}  // namespace dbbackup
