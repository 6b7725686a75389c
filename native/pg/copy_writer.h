#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pg/connection.h"

namespace dbbackup {

/// Feeds one COPY FROM STDIN. Sends CopyData messages of up to 256 KiB and reads notices meanwhile, so that neither side can wait for the
/// other. An object destroyed before `finish` leaves the connection inside COPY: close it, and the server rolls back.
class CopyWriter {
 public:
  /// Throws the server's error, connection_lost or cancelled, as the other members do.
  CopyWriter(Connection& connection, const std::string& copy_sql);

  void write(std::span<const std::byte> bytes);
  /// Ends the COPY; returns the rows the server stored.
  std::uint64_t finish();

 private:
  void flush();

  Connection& connection_;
};

}  // namespace dbbackup
