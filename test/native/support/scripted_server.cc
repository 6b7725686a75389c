#include "support/scripted_server.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "base/bytes.h"
#include "base/error.h"
#include "support/wire_messages.h"

namespace dbbackup::test {

namespace {

constexpr std::uint32_t kProtocolVersion = 196608;
constexpr std::uint32_t kCancelRequest = 80877102;
constexpr std::uint32_t kTlsRequest = 80877103;
constexpr std::uint32_t kGssRequest = 80877104;

/// Bytes of one client, plain or TLS. A stop or the end of the connection becomes ClientGone.
class Channel {
 public:
  Channel(int fd, const Stop& stop) : fd_(fd), stop_(stop) {}

  void start_tls(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd_);
    if (SSL_accept(ssl_.get()) != 1) throw ClientGone();
  }

  void receive(std::span<std::byte> into) {
    while (!into.empty()) {
      if (!ssl_ || SSL_pending(ssl_.get()) == 0) wait(POLLIN);
      const auto size = ssl_ ? SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size())) : ::recv(fd_, into.data(), into.size(), 0);
      if (size <= 0) throw ClientGone();
      into = into.subspan(static_cast<std::size_t>(size));
    }
  }

  void send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      wait(POLLOUT);
      ssize_t size = 0;
      if (ssl_) {
        size = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 16384)));
      } else {
        size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN) continue;
      }
      if (size <= 0) throw ClientGone();
      bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
  }

  /// Returns when the client has read all that was sent. Of no use over TCP, where the kernel acknowledges for it.
  void wait_until_read() {
    if (ssl_) return;
    for (int waiting = 1; waiting != 0;) {
      if (::ioctl(fd_, SIOCOUTQ, &waiting) != 0) throw ClientGone();
      if (waiting == 0) return;
      pollfd hang_up{fd_, POLLRDHUP, 0};
      if (::poll(&hang_up, 1, 0) != 0 || stop_.requested()) throw ClientGone();
      std::this_thread::yield();
    }
  }

  void wait(short events) const {
    try {
      stop_.wait(fd_, events);
    } catch (const Error&) {
      throw ClientGone();
    }
  }

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  int fd_;
  const Stop& stop_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

class Client final : public ScriptedClient {
 public:
  explicit Client(Channel& channel) : channel_(channel) {}

  std::string expect_query() override {
    const auto [type, body] = receive();
    if (type == 'X') throw ClientGone();
    if (type != 'Q') throw std::runtime_error(std::string("the client sent a message of type ") + type);
    return text_of(std::span(body).first(body.size() - 1));
  }

  std::pair<char, Bytes> receive() override {
    std::byte header[5];
    channel_.receive(header);
    Bytes body(load_be32(header + 1) - 4);
    channel_.receive(body);
    return {static_cast<char>(header[0]), std::move(body)};
  }

  void send(std::span<const std::byte> bytes) override { channel_.send(bytes); }

  void send_in_pieces(std::span<const std::byte> bytes, const std::function<std::size_t()>& next_size) override {
    while (!bytes.empty()) {
      const std::size_t size = std::clamp<std::size_t>(next_size(), 1, bytes.size());
      channel_.send(bytes.first(size));
      channel_.wait_until_read();
      bytes = bytes.subspan(size);
    }
  }

  void wait_for_end() override {
    for (std::byte byte;;) channel_.receive({&byte, 1});
  }

 private:
  Channel& channel_;
};

/// A context with a key and a self-signed certificate made for it.
std::shared_ptr<SSL_CTX> tls_context() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  if (!key || !context || X509_set_issuer_name(certificate.get(), name) != 1 || X509_set_pubkey(certificate.get(), key.get()) != 1 ||
      X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0 || SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    throw std::runtime_error("cannot make a certificate");
  }
  return context;
}

template <typename Address>
UniqueFd listen_at(int family, Address& address) {
  UniqueFd listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (!listener || ::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 16) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    throw std::runtime_error(std::string("cannot listen: ") + std::strerror(errno));
  }
  return listener;
}

}  // namespace

ScriptedServer::ScriptedServer(Script script, Encryption encryption) : script_(std::move(script)), encryption_(encryption) {
  if (encryption_ == Encryption::kTls) {
    // libpq encrypts TCP connections only.
    tls_ = tls_context();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener_ = listen_at(AF_INET, address);
    port_ = ntohs(address.sin_port);
  } else {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_.file(".s.PGSQL.5432");
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error("the socket's path is too long: " + path);
    path.copy(address.sun_path, path.size());
    listener_ = listen_at(AF_UNIX, address);
  }
  acceptor_ = std::jthread([this] { accept_clients(); });
}

ScriptedServer::~ScriptedServer() {
  stop_.request();
  acceptor_.join();
  clients_.clear();
}

ConnectionSpec ScriptedServer::connection() const {
  const bool is_tls = encryption_ == Encryption::kTls;
  return {{"host", "port", "user", "dbname", "sslmode", "gssencmode", "sslrootcert", "application_name"},
          {is_tls ? "127.0.0.1" : directory_.path(), std::to_string(port_), "reader", "sample", is_tls ? "require" : "disable", "disable",
           "/nonexistent", "native tests"}};
}

void ScriptedServer::accept_clients() {
  for (;;) {
    try {
      stop_.wait(listener_.get(), POLLIN);
    } catch (const Error&) {
      return;
    }
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    clients_.emplace_back([this, fd] { serve(fd); });
  }
}

void ScriptedServer::serve(int fd) {
  const UniqueFd owned(fd);
  // OpenSSL writes with write(2). Blocked in this thread only: the code under test must not raise the signal.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  Channel channel(fd, stop_);
  try {
    for (;;) {
      std::byte head[8];
      channel.receive(head);
      Bytes rest(load_be32(head) - sizeof head);
      channel.receive(rest);
      const std::uint32_t code = load_be32(head + 4);
      if (code == kCancelRequest) {
        ++cancel_requests_;
        if (is_deaf_) Client(channel).wait_for_end();
        return;
      }
      if (code == kProtocolVersion) break;
      const bool is_accepted = code == kTlsRequest && encryption_ == Encryption::kTls;
      if (code != kTlsRequest && code != kGssRequest) throw std::runtime_error("unknown start-up request");
      channel.send(bytes_of(is_accepted ? "S" : "N"));
      if (is_accepted) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        channel.start_tls(tls_.get());
      }
    }
    channel.send(joined({wire::authentication_ok(), wire::parameter_status("server_version", "15.0"),
                         wire::parameter_status("client_encoding", "UTF8"), wire::backend_key_data(), wire::ready_for_query()}));
    Client client(channel);
    script_(client);
  } catch (const ClientGone&) {
    // The test looks at what the client made of it.
  }
}

}  // namespace dbbackup::test
