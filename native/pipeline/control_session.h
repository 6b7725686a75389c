#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/stop.h"
#include "pg/connection.h"

namespace dbbackup {

/// Facts about an open control connection.
struct SessionInfo {
  int server_version = 0;
  int backend_pid = 0;
  std::string host, port, user, database, client_encoding;
  bool is_tls = false;
  std::vector<std::pair<std::string, std::string>> options;
  std::optional<std::string> password;
};

/// A connection for control SQL with a thread of its own: queries run one after the other, in order of submission.
class ControlSession {
 public:
  struct QueryOutcome {
    QueryResult result;
    std::vector<std::string> notices;
    std::optional<Error> error;
  };
  struct OpenOutcome {
    SessionInfo info;
    std::optional<Error> error;
  };

  /// Starts the thread and connects; `opened` is called once from that thread.
  ControlSession(ConnectionSpec spec, std::function<void(OpenOutcome)> opened);
  /// Stops, joins; queries that were still queued complete with `cancelled`.
  ~ControlSession();

  /// `params` present: extended protocol, one statement. `done` is called once, from the session's thread; it must not throw or block.
  void query(std::string sql, std::optional<std::vector<std::optional<std::string>>> params, std::function<void(QueryOutcome)> done);
  void stop() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::jthread thread_;
};

}  // namespace dbbackup
