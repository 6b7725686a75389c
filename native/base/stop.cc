#include "base/stop.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/error.h"

namespace dbbackup {

Stop::Stop() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw Error::from_errno(errno, "cannot create an eventfd", "");
}

void Stop::request() noexcept {
  source_.request_stop();
  // The counter is never read: once readable, the descriptor stays readable for every waiter. It can only fail when it is already at its
  // maximum.
  (void)::eventfd_write(event_.get(), 1);
}

void Stop::check() const {
  if (requested()) throw Error(code::kCancelled, "cancelled");
}

short Stop::wait(int fd, short events, std::chrono::milliseconds timeout) const {
  pollfd fds[2] = {{fd, events, 0}, {event_.get(), POLLIN, 0}};
  // poll's limit is 24 days; what is longer may as well be that.
  const int limit = timeout.count() < 0 ? -1 : static_cast<int>(std::min<std::chrono::milliseconds::rep>(timeout.count(), INT_MAX));
  for (;;) {
    check();
    const int ready = ::poll(fds, 2, limit);
    if (ready < 0 && errno != EINTR) throw Error::from_errno(errno, "poll failed", "");
    if (ready == 0) return 0;
    check();
    if (fds[0].revents != 0) return fds[0].revents;
  }
}

}  // namespace dbbackup
