#include "pg/transport.h"

#include <libpq-fe.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <thread>

namespace dbbackup {

namespace {

Error lost(const std::string& why) { return Error(code::kConnectionLost, "the connection to the server was lost: " + why); }

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(Connection& connection) : socket_(PQsocket(connection.get())), stop_(connection.stop()) {}

  std::size_t receive(std::span<std::byte> first, std::span<std::byte> second) override {
    iovec pieces[2] = {{first.data(), first.size()}, {second.data(), second.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = second.empty() ? 1 : 2;
    if (last_size_ < static_cast<ssize_t>(kWorthReading)) gather();
    for (;;) {
      // Not only where it has to wait: a server that is faster than its reader never makes it.
      stop_.check();
      last_size_ = ::recvmsg(socket_, &message, MSG_DONTWAIT);
      if (last_size_ > 0) return static_cast<std::size_t>(last_size_);
      if (last_size_ == 0) throw lost("the server closed it");
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        ++waits_;
        stop_.wait(socket_, POLLIN);
        gather();
      } else if (errno != EINTR) {
        throw lost(std::strerror(errno));
      }
    }
  }

  void send(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t size = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size >= 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(size));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        stop_.wait(socket_, POLLOUT);
      } else if (errno != EINTR) {
        throw lost(std::strerror(errno));
      }
    }
  }

 private:
  /// The server sends 8 kB at a time; a reader that takes what there is each time spends its time, and the backend's, on switching between
  /// the two. In a stream that has proved long, a short sleep lets the socket's buffer (208 kB by default) fill. Short answers never wait.
  void gather() {
    constexpr int kShortAnswerWaits = 16;
    constexpr std::chrono::microseconds kNap{400};
    if (waits_ > kShortAnswerWaits) std::this_thread::sleep_for(kNap);
  }

  /// Less than that is not worth a call yet.
  static constexpr std::size_t kWorthReading = std::size_t{64} << 10;

  int socket_;
  const Stop& stop_;
  int waits_ = 0;
  ssize_t last_size_ = kWorthReading;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(Connection& connection, SSL* ssl) : ssl_(ssl), socket_(PQsocket(connection.get())), stop_(connection.stop()) {}

  std::size_t receive(std::span<std::byte> first, std::span<std::byte> second) override {
    const std::span<std::byte> into = first.empty() ? second : first;
    return transfer([&](std::size_t& done) { return SSL_read_ex(ssl_, into.data(), into.size(), &done); });
  }

  void send(std::span<const std::byte> bytes) override {
    while (!bytes.empty())
      bytes = bytes.subspan(transfer([&](std::size_t& done) { return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &done); }));
  }

 private:
  template <typename Operation>
  std::size_t transfer(Operation operation) {
    for (;;) {
      stop_.check();
      std::size_t done = 0;
      ERR_clear_error();
      errno = 0;
      if (operation(done) == 1) return done;
      const int system_error = errno;
      switch (SSL_get_error(ssl_, 0)) {
        case SSL_ERROR_WANT_READ: stop_.wait(socket_, POLLIN); break;
        case SSL_ERROR_WANT_WRITE: stop_.wait(socket_, POLLOUT); break;
        case SSL_ERROR_ZERO_RETURN: throw lost("the server closed it");
        case SSL_ERROR_SYSCALL: throw lost(system_error != 0 ? std::strerror(system_error) : "unexpected end of the TLS stream");
        default: {
          char text[256];
          ERR_error_string_n(ERR_get_error(), text, sizeof text);
          throw lost(std::string("TLS: ") + text);
        }
      }
    }
  }

  SSL* ssl_;
  int socket_;
  const Stop& stop_;
};

}  // namespace

std::unique_ptr<Transport> open_transport(Connection& connection) {
  if (PQgssEncInUse(connection.get()) != 0) return nullptr;
  if (!connection.is_tls()) return std::make_unique<PlainTransport>(connection);
  auto* const ssl = static_cast<SSL*>(PQsslStruct(connection.get(), "OpenSSL"));
  if (ssl == nullptr) throw Error(code::kInternal, "this libpq was not built with OpenSSL");
  return std::make_unique<TlsTransport>(connection, ssl);
}

}  // namespace dbbackup
