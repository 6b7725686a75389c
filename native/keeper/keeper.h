#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "keeper/client.h"
#include "keeper/listener.h"
#include "keeper/requests.h"
#include "pg/query_stream.h"

namespace dbbackup::keeper {

/// Keeps one session with a server and serves it to one client at a time, so that the session outlives its clients. It knows nothing of
/// what the session is for. Used by one thread; everything waits in one `poll`.
class Keeper final : private QueryListener {
 public:
  /// Borrows all but `start`. `signal_fd`: readable when the keeper is to end.
  Keeper(StartRequest start, Connection& connection, Listener& listener, int signal_fd);

  /// Serves until it is stopped, its time without a client is over or the server has gone. Nothing is thrown for those.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  void on_columns(const std::vector<std::string_view>& names) override;
  void on_row(const std::vector<std::optional<std::string_view>>& values) override;
  void on_command(std::string_view tag) override;
  void on_error(const Error& error) override;

  void turn();
  int wait_limit_ms() const;
  Clock::time_point end_of_time() const;
  void serve(Client& client, short events);
  void answer(Client& client, const Frame& frame);
  void begin_query(Client* asker, const QueryRequest& query);
  void pump();
  void tell(const std::string& frame);
  void leave(const Client& client);
  std::string describe() const;

  StartRequest start_;
  Connection& connection_;
  Listener& listener_;
  int signal_fd_;
  QueryStream stream_;
  std::vector<std::unique_ptr<Client>> clients_;
  /// Whose query runs; null for a ping, and for one whose client has gone: its rows go nowhere.
  Client* asker_ = nullptr;
  bool is_ping_ = false;
  /// The attached client's next query, while one runs that is not its own.
  std::optional<QueryRequest> queued_;
  std::string ping_sql_;
  std::optional<std::string> pinged_, note_;
  bool is_held_ = false;
  bool had_client_ = false;
  bool is_stopping_ = false;
  std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();
  Clock::time_point last_query_ = Clock::now();
  Clock::time_point left_alone_ = Clock::now();
};

}  // namespace dbbackup::keeper
