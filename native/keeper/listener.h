#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "keeper/client.h"

namespace dbbackup::keeper {

/// The keeper's Unix socket, for processes of this user (and root) alone. Its name is removed when it is closed.
class Listener {
 public:
  /// Throws `locked` when the name is taken, and the system's error otherwise.
  explicit Listener(std::string path);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }

  int fd() const noexcept { return fd_.get(); }
  /// The next connection, or null where none waits, or where it is not one to be taken.
  std::unique_ptr<Client> accept();
  void close() noexcept;

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace dbbackup::keeper
