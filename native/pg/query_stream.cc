#include "pg/query_stream.h"

#include <libpq-fe.h>

#include "pg/result.h"

namespace dbbackup {

namespace {

void tell_columns(QueryListener& listener, const PGresult* result) {
  std::vector<std::string_view> names;
  for (int column = 0; column < PQnfields(result); ++column) names.emplace_back(PQfname(result, column));
  listener.on_columns(names);
}

void tell_rows(QueryListener& listener, const PGresult* result) {
  std::vector<std::optional<std::string_view>> values(static_cast<std::size_t>(PQnfields(result)));
  for (int row = 0; row < PQntuples(result); ++row) {
    for (int column = 0; column < PQnfields(result); ++column) {
      auto& value = values[static_cast<std::size_t>(column)];
      value.reset();
      if (PQgetisnull(result, row, column) == 0)
        value.emplace(PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column)));
    }
    listener.on_row(values);
  }
}

}  // namespace

void QueryStream::start(const std::string& sql, const std::optional<std::vector<std::optional<std::string>>>& params) {
  int is_sent = 0;
  if (params) {
    std::vector<const char*> values;
    values.reserve(params->size());
    for (const auto& param : *params) values.push_back(param ? param->c_str() : nullptr);
    is_sent =
        PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0);
  } else {
    is_sent = PQsendQuery(connection_.get(), sql.c_str());
  }
  if (is_sent == 0) throw broken_connection(connection_);
  (void)PQsetSingleRowMode(connection_.get());
  is_running_ = true;
  wants_write_ = true;
  are_columns_told_ = false;
}

int QueryStream::fd() const noexcept { return PQsocket(connection_.get()); }

void QueryStream::exchange() {
  if (PQconsumeInput(connection_.get()) == 0) throw broken_connection(connection_);
  const int pending = PQflush(connection_.get());
  if (pending < 0) throw broken_connection(connection_);
  wants_write_ = pending != 0;
  // Reads notices, and the last words of a server that ends the session, also when no query runs.
  (void)PQisBusy(connection_.get());
  if (PQstatus(connection_.get()) == CONNECTION_BAD) throw broken_connection(connection_);
}

bool QueryStream::deliver(QueryListener& listener) {
  if (!is_running_ || PQisBusy(connection_.get()) != 0) return false;
  const ResultPtr result(PQgetResult(connection_.get()));
  if (!result) {
    if (PQstatus(connection_.get()) == CONNECTION_BAD) throw broken_connection(connection_);
    is_running_ = false;
    return false;
  }
  switch (PQresultStatus(result.get())) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
      if (!are_columns_told_) tell_columns(listener, result.get());
      are_columns_told_ = true;
      tell_rows(listener, result.get());
      if (PQresultStatus(result.get()) == PGRES_TUPLES_OK) {
        are_columns_told_ = false;
        listener.on_command(PQcmdStatus(result.get()));
      }
      return true;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY: listener.on_command(PQcmdStatus(result.get())); return true;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: throw Error(code::kProtocolViolation, "a control query started a COPY");
    default:
      are_columns_told_ = false;
      // A broken connection yields its last error over and over.
      if (PQstatus(connection_.get()) == CONNECTION_BAD) throw unexpected_result(connection_, result.get());
      listener.on_error(unexpected_result(connection_, result.get()));
      return true;
  }
}

}  // namespace dbbackup
