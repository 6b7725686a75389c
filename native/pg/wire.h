#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pg/connection.h"

namespace dbbackup {

/// The rows of one COPY TO STDOUT as the server sends them, one CopyData message a row (PostgreSQL manual, "Message Formats": "messages
/// sent from the backend will always correspond to single data rows").
class CopyStream {
 public:
  virtual ~CopyStream() = default;
  /// Steps to the next message; false after the last. `length` is its payload in bytes. The previous payload must have been consumed.
  virtual bool next(std::size_t& length) = 0;
  /// The next `length` bytes of the payload where they lie contiguous in memory already, consumed by this call; null where they do not.
  /// Valid until the next call.
  virtual const std::byte* view(std::size_t length) = 0;
  /// Consumes exactly `into.size()` bytes of the payload, received straight into `into` where possible.
  virtual void read(std::span<std::byte> into) = 0;
  /// Rows the server says it sent (`COPY n`); after `next` returned false.
  virtual std::uint64_t row_count() const = 0;
};

/// Starts `copy_sql` and gives its rows, read as protocol frames off the connection's socket, through TLS with `SSL_read`; through libpq's
/// `PQgetCopyData` where the connection is encrypted by GSS or `is_libpq_forced`. The connection must be idle. `receive_buffer` is scratch
/// memory for small messages, at least 64 KiB. Throws the server's error, protocol_violation, connection_lost or cancelled. An error leaves
/// the connection unusable.
std::unique_ptr<CopyStream> start_copy_out(Connection& connection, const std::string& copy_sql, std::span<std::byte> receive_buffer,
                                           bool is_libpq_forced = false);

}  // namespace dbbackup
