#include "keeper/client.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>
#include <utility>

namespace dbbackup::keeper {

bool Client::receive() {
  // One read a turn of the loop: a client that never stops sending does not keep the others waiting.
  std::array<std::byte, 16384> buffer;
  const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (size > 0) frames.append(std::span(buffer).first(static_cast<std::size_t>(size)));
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

bool Client::flush() {
  while (pending_bytes() > 0) {
    const ssize_t size = ::send(fd_.get(), out_.data() + sent_, pending_bytes(), MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (size < 0) break;
    sent_ += static_cast<std::size_t>(size);
  }
  // Also of a client that never catches up: what has left takes no memory.
  out_.erase(0, std::exchange(sent_, 0));
  if (!out_.empty()) return true;
  // What a large row took is given back.
  std::string().swap(out_);
  return true;
}

}  // namespace dbbackup::keeper
