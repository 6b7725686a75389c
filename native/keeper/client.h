#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "base/unique_fd.h"
#include "keeper/frame.h"

namespace dbbackup::keeper {

/// One connection to the keeper's socket, non-blocking.
class Client {
 public:
  Client(UniqueFd fd, pid_t pid) noexcept : fd_(std::move(fd)), pid_(pid) {}

  int fd() const noexcept { return fd_.get(); }
  /// Of the process at the other end.
  pid_t pid() const noexcept { return pid_; }

  /// Queues a whole frame.
  void send(const std::string& frame) { out_ += frame; }
  /// Queued bytes that have not left.
  std::size_t pending_bytes() const noexcept { return out_.size() - sent_; }

  /// Reads what is there into `frames`. False when the other end has gone.
  bool receive();
  /// Writes what the socket takes. False when the other end has gone.
  bool flush();

  FrameBuffer frames;
  bool is_attached = false;
  /// To be closed once all has left.
  bool is_leaving = false;

 private:
  UniqueFd fd_;
  pid_t pid_;
  std::string out_;
  std::size_t sent_ = 0;
};

}  // namespace dbbackup::keeper
