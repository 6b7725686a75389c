#include "pg/copy_writer.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "pg/result.h"

namespace dbbackup {

namespace {

/// Small enough that libpq's send buffer stays small, large enough that the message's five bytes and the calls cost nothing.
constexpr std::size_t kMessageBytes = std::size_t{256} << 10;

}  // namespace

CopyWriter::CopyWriter(Connection& connection, const std::string& copy_sql) : connection_(connection) {
  if (PQsendQuery(connection_.get(), copy_sql.c_str()) == 0) throw broken_connection(connection_);
  flush();
  const ResultPtr result = next_result(connection_);
  if (PQresultStatus(result.get()) != PGRES_COPY_IN) throw unexpected_result(connection_, result.get());
}

void CopyWriter::flush() {
  for (int pending = PQflush(connection_.get()); pending != 0; pending = PQflush(connection_.get())) {
    if (pending < 0) throw broken_connection(connection_);
    const short ready = connection_.stop().wait(PQsocket(connection_.get()), POLLIN | POLLOUT);
    if ((ready & POLLIN) != 0 && PQconsumeInput(connection_.get()) == 0) throw broken_connection(connection_);
  }
}

void CopyWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size(), kMessageBytes);
    if (PQputCopyData(connection_.get(), reinterpret_cast<const char*>(bytes.data()), static_cast<int>(part)) != 1)
      throw broken_connection(connection_);
    flush();
    bytes = bytes.subspan(part);
  }
}

std::uint64_t CopyWriter::finish() {
  if (PQputCopyEnd(connection_.get(), nullptr) != 1) throw broken_connection(connection_);
  flush();
  const ResultPtr result = next_result(connection_);
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw unexpected_result(connection_, result.get());
  const char* const count = PQcmdTuples(result.get());
  std::uint64_t rows = 0;
  if (std::from_chars(count, count + std::strlen(count), rows).ec != std::errc{})
    throw Error(code::kProtocolViolation, "COPY's command tag has no row count");
  while (next_result(connection_)) {}
  return rows;
}

}  // namespace dbbackup
