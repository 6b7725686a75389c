#include "pg/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "pg/result.h"

namespace dbbackup {

namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
using OptionsPtr = std::unique_ptr<PQconninfoOption, FreeOptions>;

struct FreeCancel {
  void operator()(PGcancel* cancel) const noexcept { PQfreeCancel(cancel); }
};

constexpr std::size_t kKeptNotices = 100;

std::string trimmed(const char* text) {
  std::string message = text == nullptr ? "" : text;
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  return message;
}

/// libpq's own messages have a line for each address and encryption it tried, some of them twice; advice follows on lines that begin with a
/// tab.
std::string one_line(const char* text) {
  const std::string message = trimmed(text);
  std::vector<std::string_view> lines;
  for (std::string_view rest = message; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.empty() && line.front() != '\t' && std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
  }
  std::string joined;
  for (const std::string_view line : lines) joined.append(joined.empty() ? "" : "; ").append(line);
  return joined;
}

void keep_notice(void* notices, const PGresult* result) {
  auto& kept = *static_cast<std::vector<std::string>*>(notices);
  if (kept.size() < kKeptNotices) kept.push_back(trimmed(PQresultErrorMessage(result)));
}

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

/// A failed connection attempt carries only a text: the server's FATAL message is part of it, its SQLSTATE is not.
Error connection_error(PGconn* conn) {
  const std::string message = one_line(PQerrorMessage(conn));
  const char* code = code::kConnectionFailed;
  const auto says = [&](const char* part) { return message.find(part) != std::string::npos; };
  if (PQconnectionNeedsPassword(conn) != 0 || says("authentication failed") || says("no pg_hba.conf entry") || says("password") ||
      (says("role \"") && says("does not exist"))) {
    code = code::kAuthenticationFailed;
  } else if (says("database \"") && says("does not exist")) {
    code = code::kDatabaseNotFound;
  } else if (says("permission denied for database")) {
    code = code::kPermissionDenied;
  }
  Error error(code, message);
  if (says("SSL error") || says("certificate"))
    error.hint = "Check sslmode, sslrootcert and the name of the host, which the server's certificate must hold.";
  return error;
}

Error timeout_error(PGconn* conn) {
  return Error(code::kConnectionFailed, "connection to server at \"" + text_or_empty(PQhost(conn)) + "\", port " +
                                            text_or_empty(PQport(conn)) + " failed: no answer within connect_timeout");
}

constexpr std::chrono::seconds kDefaultConnectTimeout{30};

std::chrono::milliseconds connect_timeout(PGconn* conn) {
  const OptionsPtr options(PQconninfo(conn));
  std::string given, host;
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (std::strcmp(option->keyword, "connect_timeout") == 0) given = text_or_empty(option->val);
    if (std::strcmp(option->keyword, "host") == 0) host = text_or_empty(option->val);
  }
  // libpq would wait as long as the system's TCP does: two minutes. Of several hosts the first may need that until the next is tried.
  if (given.empty()) return host.find(',') == std::string::npos ? kDefaultConnectTimeout : std::chrono::milliseconds{-1};
  int seconds = 0;
  std::from_chars(given.data(), given.data() + given.size(), seconds);
  // libpq's rule: zero or negative means no limit, and less than two seconds counts as two.
  if (seconds > 0) return std::chrono::seconds(std::max(seconds, 2));
  return std::chrono::milliseconds{-1};
}

}  // namespace

void ClearResult::operator()(pg_result* result) const noexcept { PQclear(result); }

Error broken_connection(const Connection& connection) {
  const std::string message = one_line(PQerrorMessage(connection.get()));
  return Error(code::kConnectionLost, message.empty() ? "the connection to the server was lost" : message);
}

Error unexpected_result(const Connection& connection, const pg_result* result) {
  if (result == nullptr) return broken_connection(connection);
  if (PQresultStatus(result) != PGRES_FATAL_ERROR)
    return Error(code::kProtocolViolation, "the server answered with something else than the statement calls for");
  PgFields fields = error_fields(result);
  // An error of libpq's own has no SQLSTATE.
  if (fields.sqlstate.empty() && PQstatus(connection.get()) == CONNECTION_BAD)
    return Error(code::kConnectionLost, one_line(fields.message.c_str()));
  return Error::from_server(std::move(fields));
}

ResultPtr next_result(Connection& connection) {
  while (PQisBusy(connection.get()) != 0) {
    connection.stop().wait(PQsocket(connection.get()), POLLIN);
    if (PQconsumeInput(connection.get()) == 0) throw broken_connection(connection);
  }
  return ResultPtr(PQgetResult(connection.get()));
}

PgFields error_fields(const pg_result* result) {
  const auto field = [&](int code) { return text_or_empty(PQresultErrorField(result, code)); };
  PgFields fields;
  fields.severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  fields.sqlstate = field(PG_DIAG_SQLSTATE);
  fields.message = field(PG_DIAG_MESSAGE_PRIMARY);
  fields.detail = field(PG_DIAG_MESSAGE_DETAIL);
  fields.hint = field(PG_DIAG_MESSAGE_HINT);
  fields.position = field(PG_DIAG_STATEMENT_POSITION);
  fields.schema = field(PG_DIAG_SCHEMA_NAME);
  fields.table = field(PG_DIAG_TABLE_NAME);
  if (fields.message.empty()) fields.message = trimmed(PQresultErrorMessage(result));
  return fields;
}

std::string database_of(const std::string& connection) {
  // libpq's own rule for what is a connection string (conninfo_uri_parse, recognized_connection_string in fe-connect.c).
  const bool is_string =
      connection.starts_with("postgresql://") || connection.starts_with("postgres://") || connection.find('=') != std::string::npos;
  if (!is_string) return connection;
  const OptionsPtr options(PQconninfoParse(connection.c_str(), nullptr));
  // libpq's message quotes the string, password included, and is left out.
  if (!options) throw Error(code::kUsage, "libpq cannot read the connection string");
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (std::strcmp(option->keyword, "dbname") == 0) return text_or_empty(option->val);
  }
  return "";
}

void Connection::Closer::operator()(pg_conn* conn) const noexcept { PQfinish(conn); }

Connection::Connection(const ConnectionSpec& spec, const Stop& stop)
    : stop_(&stop), notices_(std::make_unique<std::vector<std::string>>()) {
  // libpq's complaint about a string that it cannot read would quote the password in it. It takes the first dbname alone for a string;
  // others are names, whatever they look like.
  for (std::size_t index = 0; index < spec.keywords.size(); ++index) {
    if (spec.keywords[index] != "dbname") continue;
    (void)database_of(spec.values[index]);
    break;
  }
  std::vector<const char*> keywords, values;
  for (const std::string& keyword : spec.keywords) keywords.push_back(keyword.c_str());
  for (const std::string& value : spec.values) values.push_back(value.c_str());
  keywords.push_back(nullptr);
  values.push_back(nullptr);

  conn_.reset(PQconnectStartParams(keywords.data(), values.data(), 1));
  if (!conn_) throw Error(code::kConnectionFailed, "out of memory while connecting");
  PQsetNoticeReceiver(get(), keep_notice, notices_.get());

  const auto timeout = connect_timeout(get());
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (PostgresPollingStatusType status = PGRES_POLLING_WRITING; status != PGRES_POLLING_OK; status = PQconnectPoll(get())) {
    if (status == PGRES_POLLING_FAILED || PQstatus(get()) == CONNECTION_BAD) throw connection_error(get());
    auto left = std::chrono::milliseconds{-1};
    if (timeout.count() >= 0) {
      left = std::max(std::chrono::milliseconds{0},
                      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()));
    }
    if (stop.wait(PQsocket(get()), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, left) == 0) {
      throw timeout_error(get());
    }
  }
  if (PQsetnonblocking(get(), 1) != 0) throw broken_connection(*this);
}

void Connection::wait_flushed() {
  for (int pending = PQflush(get()); pending != 0; pending = PQflush(get())) {
    if (pending < 0) throw broken_connection(*this);
    if ((stop_->wait(PQsocket(get()), POLLIN | POLLOUT) & POLLIN) != 0 && PQconsumeInput(get()) == 0) throw broken_connection(*this);
  }
}

QueryResult Connection::collect() {
  wait_flushed();
  QueryResult last;
  std::optional<Error> first_error;
  for (;;) {
    const ResultPtr result = next_result(*this);
    if (!result) break;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK: {
        const int columns = PQnfields(result.get());
        const int rows = PQntuples(result.get());
        last = {};
        for (int column = 0; column < columns; ++column) last.columns.emplace_back(PQfname(result.get(), column));
        last.rows.reserve(static_cast<std::size_t>(rows));
        for (int row = 0; row < rows; ++row) {
          auto& values = last.rows.emplace_back(static_cast<std::size_t>(columns));
          for (int column = 0; column < columns; ++column) {
            if (PQgetisnull(result.get(), row, column) == 0) {
              values[static_cast<std::size_t>(column)].emplace(PQgetvalue(result.get(), row, column),
                                                               static_cast<std::size_t>(PQgetlength(result.get(), row, column)));
            }
          }
        }
        last.command = PQcmdStatus(result.get());
        break;
      }
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        last = {};
        last.command = PQcmdStatus(result.get());
        break;
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH: throw Error(code::kProtocolViolation, "a control query started a COPY");
      default:
        if (!first_error) first_error = unexpected_result(*this, result.get());
        break;
    }
    // A broken connection yields its last error result over and over.
    if (PQstatus(get()) == CONNECTION_BAD) break;
  }
  if (first_error) throw *first_error;
  if (PQstatus(get()) == CONNECTION_BAD) throw broken_connection(*this);
  return last;
}

QueryResult Connection::query(const std::string& sql) {
  stop_->check();
  if (PQsendQuery(get(), sql.c_str()) == 0) throw broken_connection(*this);
  return collect();
}

QueryResult Connection::query(const std::string& sql, const std::vector<std::optional<std::string>>& params) {
  stop_->check();
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const auto& param : params) values.push_back(param ? param->c_str() : nullptr);
  if (PQsendQueryParams(get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0) == 0) {
    throw broken_connection(*this);
  }
  return collect();
}

std::optional<std::string> Connection::query_value(const std::string& sql) {
  QueryResult result = query(sql);
  if (result.rows.empty() || result.rows.front().empty()) return std::nullopt;
  return std::move(result.rows.front().front());
}

void Connection::cancel() noexcept {
  // PQcancel connects and waits without a limit of its own, and a server that hangs would make every end of a run hang with it. So it runs
  // on a thread that is left alone after a second: it owns all it uses, and what it does after that harms nobody.
  struct Request {
    std::unique_ptr<PGcancel, FreeCancel> cancel;
    std::mutex mutex;
    std::condition_variable done;
    bool is_done = false;
  };
  try {
    // Shared: whoever is later, the thread or this function, frees it.
    const auto request = std::make_shared<Request>();
    request->cancel.reset(PQgetCancel(get()));
    if (!request->cancel) return;
    std::thread([request] {
      char message[256];
      // A refused cancel changes nothing: the connection is closed right afterwards, which ends the query at its next write.
      (void)PQcancel(request->cancel.get(), message, sizeof message);
      const std::lock_guard lock(request->mutex);
      request->is_done = true;
      request->done.notify_one();
    }).detach();
    std::unique_lock lock(request->mutex);
    request->done.wait_for(lock, std::chrono::seconds(1), [&] { return request->is_done; });
  } catch (const std::exception&) {
    // Without a thread or memory for it there is no request; closing the connection has to do.
  }
}

int Connection::server_version() const { return PQserverVersion(get()); }
int Connection::backend_pid() const { return PQbackendPID(get()); }
int Connection::socket() const { return PQsocket(get()); }
std::string Connection::host() const { return text_or_empty(PQhost(get())); }
std::string Connection::port() const { return text_or_empty(PQport(get())); }
std::string Connection::user() const { return text_or_empty(PQuser(get())); }
std::string Connection::database() const { return text_or_empty(PQdb(get())); }
std::string Connection::parameter(const char* name) const { return text_or_empty(PQparameterStatus(get(), name)); }
bool Connection::is_tls() const { return PQsslInUse(get()) != 0; }

std::optional<std::string> Connection::password() const {
  if (PQconnectionUsedPassword(get()) == 0) return std::nullopt;
  return text_or_empty(PQpass(get()));
}

std::vector<std::pair<std::string, std::string>> Connection::options() const {
  std::vector<std::pair<std::string, std::string>> options;
  const OptionsPtr all(PQconninfo(get()));
  for (const PQconninfoOption* option = all.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (option->val == nullptr || option->val[0] == '\0' || option->dispchar[0] != '\0')
      continue;  // dispchar marks secret and debug options.
    options.emplace_back(option->keyword, option->val);
  }
  return options;
}

std::vector<std::string> Connection::take_notices() { return std::exchange(*notices_, {}); }

}  // namespace dbbackup
