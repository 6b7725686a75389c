#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/stop.h"
#include "base/unique_fd.h"
#include "pg/connection.h"
#include "support/bytes.h"
#include "support/random.h"
#include "support/temporary_directory.h"

struct ssl_ctx_st;

namespace dbbackup::test {

/// Thrown inside a script when the client has gone, or the server stops. Ends the script.
class ClientGone : public std::exception {};

/// One client of a ScriptedServer, start-up done. Used by the script's thread.
class ScriptedClient {
 public:
  virtual ~ScriptedClient() = default;

  /// The SQL of the next Query message.
  virtual std::string expect_query() = 0;
  /// The next message of any type: its type and body.
  virtual std::pair<char, Bytes> receive() = 0;
  /// Sends in as few pieces as the socket takes.
  virtual void send(std::span<const std::byte> bytes) = 0;
  /// Sends `bytes` so that the client receives them in the pieces that `next_size` asks for, one after the other: on a Unix socket each
  /// waits until the client has read the one before, over TLS each is a record.
  virtual void send_in_pieces(std::span<const std::byte> bytes, const std::function<std::size_t()>& next_size) = 0;
  /// Waits until the client closes or the server stops.
  virtual void wait_for_end() = 0;
};

/// A server that speaks protocol 3 as a script tells it, so that what no real server sends can be sent. Every client runs the script on a
/// thread of its own.
class ScriptedServer {
 public:
  enum class Encryption { kNone, kTls };
  using Script = std::function<void(ScriptedClient&)>;

  /// `script` runs when a client has connected; when it returns, the connection is cut.
  explicit ScriptedServer(Script script, Encryption encryption = Encryption::kNone);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  ConnectionSpec connection() const;
  int cancel_requests() const noexcept { return cancel_requests_.load(); }
  /// From now on cancel requests are counted, but never answered.
  void be_deaf_to_cancel_requests() noexcept { is_deaf_ = true; }

 private:
  void accept_clients();
  void serve(int fd);

  Script script_;
  Encryption encryption_;
  /// Not where TMPDIR points to: a socket's path has at most 107 bytes.
  TemporaryDirectory directory_{"/tmp"};
  Stop stop_;
  UniqueFd listener_;
  int port_ = 5432;
  std::shared_ptr<ssl_ctx_st> tls_;
  std::atomic<int> cancel_requests_{0};
  std::atomic<bool> is_deaf_{false};
  std::vector<std::jthread> clients_;
  std::jthread acceptor_;
};

}  // namespace dbbackup::test
