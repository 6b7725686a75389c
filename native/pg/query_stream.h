#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pg/connection.h"

namespace dbbackup {

/// Takes what a query gives, piece by piece. Views are valid during the call.
class QueryListener {
 public:
  /// Once for each result that has columns, before its rows.
  virtual void on_columns(const std::vector<std::string_view>& names) = 0;
  /// Text format; nullopt is SQL NULL.
  virtual void on_row(const std::vector<std::optional<std::string_view>>& values) = 0;
  /// A statement has ended well; its command tag.
  virtual void on_command(std::string_view tag) = 0;
  /// A statement has failed; the query's end follows.
  virtual void on_error(const Error& error) = 0;

 protected:
  ~QueryListener() = default;
};

/// Runs one query at a time on a connection without ever waiting, row by row: memory holds one row, however many there are.
/// Borrows the connection, which nobody else may use meanwhile.
class QueryStream {
 public:
  explicit QueryStream(Connection& connection) : connection_(connection) {}

  /// Sends a query: simple protocol (several statements allowed), or, with `params`, extended protocol (one statement).
  void start(const std::string& sql, const std::optional<std::vector<std::optional<std::string>>>& params);
  bool is_running() const noexcept { return is_running_; }
  int fd() const noexcept;
  /// True while a part of the query has not left yet: wait for POLLOUT, too.
  bool wants_write() const noexcept { return wants_write_; }

  /// Moves bytes between the socket and libpq, as many as there are. Throws connection_lost, also when nothing runs: then the server has
  /// gone.
  void exchange();
  /// Hands one piece of what has arrived to `listener`. False when nothing more is there, or when this was the query's end (see
  /// `is_running`). Throws connection_lost, and protocol_violation for a COPY, after which the connection is of no use.
  bool deliver(QueryListener& listener);

 private:
  Connection& connection_;
  bool is_running_ = false;
  bool wants_write_ = false;
  /// The rows at hand belong to a result whose columns were told.
  bool are_columns_told_ = false;
};

}  // namespace dbbackup
