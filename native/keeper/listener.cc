#include "keeper/listener.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace dbbackup::keeper {

Listener::Listener(std::string path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error(code::kUsage, "the path of the keeper's socket is too long: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) throw Error::from_errno(errno, "cannot create a socket", path);
  // The process's umask lets nobody else connect.
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) throw Error(code::kLocked, "there is a keeper at " + path + " already");
    throw Error::from_errno(errno, "cannot bind " + path, path);
  }
  path_ = std::move(path);
  if (::listen(fd_.get(), 8) != 0) throw Error::from_errno(errno, "cannot listen at " + path_, path_);
}

std::unique_ptr<Client> Listener::accept() {
  UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return nullptr;
  if (peer.uid != ::geteuid() && peer.uid != 0) return nullptr;
  return std::make_unique<Client>(std::move(fd), peer.pid);
}

void Listener::close() noexcept {
  fd_.reset();
  if (!path_.empty()) (void)::unlink(path_.c_str());
  path_.clear();
}

}  // namespace dbbackup::keeper
