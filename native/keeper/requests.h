#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "keeper/frame.h"
#include "pg/connection.h"

namespace dbbackup::keeper {

/// What the starter sends over standard input, once.
struct StartRequest {
  /// Names for people: of the backup, and of the database.
  std::string id, database;
  /// Absolute; the directory exists.
  std::string socket_path;
  /// How long the keeper stays without a client that is attached, and how often it speaks with the server.
  std::chrono::milliseconds ttl{}, ping{};
  ConnectionSpec connection;
};

/// From now on queries of this client are taken, and of no other.
struct AttachRequest {};
/// `params` present: extended protocol, one statement.
struct QueryRequest {
  std::string sql;
  std::optional<std::vector<std::optional<std::string>>> params;
};
/// From now on the session is worth keeping; `ping_sql` is run at every ping. Info tells the first value it gives, and `note`.
struct HoldRequest {
  std::string ping_sql, note;
};
/// Any connection may send these, at any time.
struct InfoRequest {};
struct StopRequest {};

using Request = std::variant<AttachRequest, QueryRequest, HoldRequest, InfoRequest, StopRequest>;

/// Throw protocol_violation for what is no request.
StartRequest parse_start(const Frame& frame);
Request parse_request(const Frame& frame);

/// The reply that tells an error, as a whole frame.
std::string to_frame(const Error& error);

}  // namespace dbbackup::keeper
