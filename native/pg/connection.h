#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/stop.h"

struct pg_conn;
struct pg_result;

namespace dbbackup {

/// Connection parameters for `PQconnectdbParams` with `expand_dbname`: `dbname` may be a name, a URI or a keyword string.
struct ConnectionSpec {
  std::vector<std::string> keywords;
  std::vector<std::string> values;
};

/// A query's result in text format.
struct QueryResult {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::string command;
};

/// An open connection to a server, owned. Every wait ends on the stop it was opened with. Used by one thread at a time.
class Connection {
 public:
  /// Connects without blocking past `stop` or the connection's `connect_timeout`.
  /// Throws connection_failed, authentication_failed, database_not_found, permission_denied, cancelled, or usage for a connection string
  /// that is none.
  Connection(const ConnectionSpec& spec, const Stop& stop);
  Connection(Connection&&) noexcept = default;
  Connection& operator=(Connection&&) noexcept = default;

  /// Runs `sql` (simple protocol; several statements allowed) and returns its last result. Throws the server's error, connection_lost or
  /// cancelled.
  QueryResult query(const std::string& sql);
  /// Runs one statement with text parameters (extended protocol).
  QueryResult query(const std::string& sql, const std::vector<std::optional<std::string>>& params);
  /// The single value of a query's single row; nullopt for NULL or no row.
  std::optional<std::string> query_value(const std::string& sql);
  void execute(const std::string& sql) { (void)query(sql); }

  /// Asks the server to cancel what this connection runs; never throws.
  void cancel() noexcept;

  int server_version() const;
  int backend_pid() const;
  /// The descriptor, or -1 once the connection is broken.
  int socket() const;
  std::string host() const;
  std::string port() const;
  std::string user() const;
  std::string database() const;
  std::string parameter(const char* name) const;
  bool is_tls() const;
  std::optional<std::string> password() const;
  /// Effective options (`PQconninfo`), those libpq marks as secret left out.
  std::vector<std::pair<std::string, std::string>> options() const;
  /// Warnings and notices received since the last call; at most 100 are kept.
  std::vector<std::string> take_notices();

  pg_conn* get() const noexcept { return conn_.get(); }
  const Stop& stop() const noexcept { return *stop_; }

 private:
  struct Closer {
    void operator()(pg_conn* conn) const noexcept;
  };
  QueryResult collect();
  void wait_flushed();

  std::unique_ptr<pg_conn, Closer> conn_;
  const Stop* stop_;
  std::unique_ptr<std::vector<std::string>> notices_;
};

/// The database that a connection parameter names: itself, or what stands in it when it is a URI or keyword string; empty when it names
/// none. Throws `usage` for a URI or keyword string that libpq cannot read.
std::string database_of(const std::string& connection);

/// The fields of an error result, or of a connection's message when `result` is null.
PgFields error_fields(const pg_result* result);

}  // namespace dbbackup
