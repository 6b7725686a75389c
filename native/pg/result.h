#pragma once

#include <memory>

#include "pg/connection.h"

namespace dbbackup {

struct ClearResult {
  void operator()(pg_result* result) const noexcept;
};
using ResultPtr = std::unique_ptr<pg_result, ClearResult>;

/// The next result of a running query, waiting without blocking past a stop; null after the last.
ResultPtr next_result(Connection& connection);

/// connection_lost, with what libpq has to say.
Error broken_connection(const Connection& connection);

/// What a result that is not the expected one says: the server's error, connection_lost, or protocol_violation where it is no error at all.
Error unexpected_result(const Connection& connection, const pg_result* result);

}  // namespace dbbackup
