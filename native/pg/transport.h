#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "pg/connection.h"

namespace dbbackup {

/// Bytes on an idle connection's socket, past libpq: at idle its buffers are empty, so whoever sends the next message may read the answer.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Receives at least one byte, into `first` and, when that is full, `second`. Throws connection_lost at the end of the stream, or
  /// cancelled.
  virtual std::size_t receive(std::span<std::byte> first, std::span<std::byte> second) = 0;
  /// Sends all of `bytes`.
  virtual void send(std::span<const std::byte> bytes) = 0;
};

/// Plain or TLS, as the connection is. Null for a GSS-encrypted connection, whose framing libpq keeps to itself.
std::unique_ptr<Transport> open_transport(Connection& connection);

}  // namespace dbbackup
