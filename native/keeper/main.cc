/// dbbackup-keeper: keeps one session with a server and serves it over a Unix socket. Started by dbbackup, which sends all it needs over
/// standard input (nothing of it stands in its arguments) and learns over standard output whether it listens.
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/stop.h"
#include "keeper/keeper.h"
#include "pg/init.h"

namespace dbbackup::keeper {

namespace {

StartRequest read_start() {
  FrameBuffer frames;
  for (;;) {
    std::array<std::byte, 4096> buffer;
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) throw Error(code::kProtocolViolation, "the start message is incomplete");
    frames.append(std::span(buffer).first(static_cast<std::size_t>(size)));
    if (const std::optional<Frame> frame = frames.next()) return parse_start(*frame);
  }
}

/// Tells the starter. It may have gone: then nobody needs to know.
void report(const std::string& frame) {
  for (std::size_t sent = 0; sent < frame.size();) {
    const ssize_t size = ::write(STDOUT_FILENO, frame.data() + sent, frame.size() - sent);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    sent += static_cast<std::size_t>(size);
  }
}

/// Lets go of everything that ties the keeper to its starter. The new session began with the process.
void detach() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw Error::from_errno(errno, "cannot open /dev/null", "/dev/null");
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(null.get(), fd);
  // The connection is open: no relative path of its parameters is read again.
  if (::chdir("/") != 0) throw Error::from_errno(errno, "cannot change to /", "/");
}

UniqueFd take_signals() {
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) (void)std::signal(signal, SIG_IGN);
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  if (::sigprocmask(SIG_BLOCK, &ending, nullptr) != 0) throw Error::from_errno(errno, "cannot block signals", "");
  UniqueFd fd(::signalfd(-1, &ending, SFD_CLOEXEC));
  if (!fd) throw Error::from_errno(errno, "cannot create a signalfd", "");
  return fd;
}

int run() {
  ::umask(077);
  init_libraries();
  const Stop never;
  try {
    StartRequest start = read_start();
    Connection connection(start.connection, never);
    start.connection = {};
    const UniqueFd signals = take_signals();
    Listener listener(start.socket_path);
    FrameWriter ready('R');
    ready.number(static_cast<std::uint32_t>(connection.backend_pid()));
    report(ready.finish());
    detach();
    Keeper(std::move(start), connection, listener, signals.get()).run();
    return 0;
  } catch (const Error& error) {
    report(to_frame(error));
  } catch (const std::exception& error) {
    report(to_frame(Error(code::kInternal, error.what())));
  }
  return 1;
}

}  // namespace

}  // namespace dbbackup::keeper

int main() { return dbbackup::keeper::run(); }
