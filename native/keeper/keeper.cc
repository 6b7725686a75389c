#include "keeper/keeper.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace dbbackup::keeper {

namespace {

using std::chrono::milliseconds;

/// Bytes for a client that may wait in memory before no more are read from the server.
constexpr std::size_t kMaxPendingBytes = 256 * 1024;
/// The attached one and some that look or stop.
constexpr std::size_t kMaxClients = 16;
/// How long a session that holds nothing yet waits for its first client: longer means that the starter has died.
constexpr milliseconds kFirstClientTtl{10'000};
constexpr std::uint32_t kNoNumber = 0xffffffff;

std::uint32_t to_number(milliseconds duration) {
  return static_cast<std::uint32_t>(std::clamp<milliseconds::rep>(duration.count(), 0, kNoNumber - 1));
}

}  // namespace

Keeper::Keeper(StartRequest start, Connection& connection, Listener& listener, int signal_fd)
    : start_(std::move(start)), connection_(connection), listener_(listener), signal_fd_(signal_fd), stream_(connection) {}

void Keeper::run() {
  try {
    while (!is_stopping_ && Clock::now() < end_of_time()) turn();
    if (stream_.is_running()) connection_.cancel();
  } catch (const Error& error) {
    // The server has gone. Whoever waits learns why; a client that does not read finds a closed socket.
    for (const auto& client : clients_) {
      client->send(to_frame(error));
      (void)client->flush();
    }
  }
  listener_.close();
}

Keeper::Clock::time_point Keeper::end_of_time() const {
  const bool is_attached = std::any_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->is_attached; });
  if (is_attached) return Clock::time_point::max();
  if (is_held_) return left_alone_ + start_.ttl;
  return left_alone_ + (had_client_ ? milliseconds{0} : kFirstClientTtl);
}

int Keeper::wait_limit_ms() const {
  const auto next = std::min(end_of_time(), stream_.is_running() ? Clock::time_point::max() : last_query_ + start_.ping);
  if (next == Clock::time_point::max()) return -1;
  // Rounded up, so that it is time when it has passed.
  const auto left = std::chrono::duration_cast<milliseconds>(next - Clock::now()).count() + 1;
  return static_cast<int>(std::clamp<milliseconds::rep>(left, 0, 3'600'000));
}

void Keeper::turn() {
  const bool has_room = asker_ == nullptr || asker_->pending_bytes() < kMaxPendingBytes;
  const auto server_events = static_cast<short>((has_room ? POLLIN : 0) | (stream_.wants_write() ? POLLOUT : 0));
  std::vector<pollfd> fds{{signal_fd_, POLLIN, 0}, {listener_.fd(), POLLIN, 0}, {stream_.fd(), server_events, 0}};
  for (const auto& client : clients_)
    fds.push_back({client->fd(), static_cast<short>((client->is_leaving ? 0 : POLLIN) | (client->pending_bytes() > 0 ? POLLOUT : 0)), 0});

  const int ready = ::poll(fds.data(), fds.size(), wait_limit_ms());
  if (ready < 0 && errno != EINTR) throw Error::from_errno(errno, "poll failed", "");
  if (ready < 0) return;
  if (fds[0].revents != 0) is_stopping_ = true;

  std::vector<Client*> present;
  for (const auto& client : clients_) present.push_back(client.get());
  for (std::size_t index = 0; index < present.size(); ++index) serve(*present[index], fds[index + 3].revents);

  if ((fds[1].revents & POLLIN) != 0) {
    // One too many is closed at once.
    if (auto client = listener_.accept(); client && clients_.size() < kMaxClients) clients_.push_back(std::move(client));
  }
  if (fds[2].revents != 0) stream_.exchange();
  pump();
  if (!stream_.is_running() && Clock::now() >= last_query_ + start_.ping) {
    begin_query(nullptr, {ping_sql_, std::nullopt});
    is_ping_ = true;
  }
}

void Keeper::serve(Client& client, short events) {
  bool is_there = true;
  if ((events & POLLOUT) != 0) is_there = client.flush();
  if (is_there && (events & (POLLIN | POLLHUP | POLLERR)) != 0) is_there = client.receive();
  try {
    while (is_there && !client.is_leaving) {
      const std::optional<Frame> frame = client.frames.next();
      if (!frame) break;
      answer(client, *frame);
    }
  } catch (const Error& error) {
    // Only what the client sent can be wrong here: a lost server shows at the next exchange.
    client.send(to_frame(error));
    client.is_leaving = true;
  }
  is_there = is_there && client.flush();
  if (!is_there || (client.is_leaving && client.pending_bytes() == 0)) leave(client);
}

void Keeper::answer(Client& client, const Frame& frame) {
  const Request request = parse_request(frame);
  const bool is_owner_only = std::holds_alternative<QueryRequest>(request) || std::holds_alternative<HoldRequest>(request);
  if (is_owner_only && !client.is_attached) throw Error(code::kProtocolViolation, "a request of a client that is not attached");

  if (std::holds_alternative<AttachRequest>(request)) {
    for (const auto& other : clients_) {
      if (other->is_attached)
        throw Error(code::kLocked, "the keeper of " + start_.id + " serves process " + std::to_string(other->pid()) + " already");
    }
    client.is_attached = true;
    had_client_ = true;
    client.send(describe());
  } else if (const auto* query = std::get_if<QueryRequest>(&request)) {
    if (queued_ || asker_ != nullptr) throw Error(code::kProtocolViolation, "a query before the last one's end");
    if (stream_.is_running()) {
      queued_ = *query;
    } else {
      begin_query(&client, *query);
    }
  } else if (const auto* hold = std::get_if<HoldRequest>(&request)) {
    is_held_ = true;
    ping_sql_ = hold->ping_sql;
    note_ = hold->note;
    client.send(describe());
  } else if (std::holds_alternative<InfoRequest>(request)) {
    client.send(describe());
  } else {
    is_stopping_ = true;
  }
}

void Keeper::begin_query(Client* asker, const QueryRequest& query) {
  asker_ = asker;
  is_ping_ = false;
  stream_.start(query.sql, query.params);
  last_query_ = Clock::now();
}

void Keeper::pump() {
  while (stream_.is_running()) {
    if (asker_ != nullptr && asker_->pending_bytes() >= kMaxPendingBytes) return;
    if (stream_.deliver(*this)) continue;
    if (stream_.is_running()) return;
    last_query_ = Clock::now();
    tell(FrameWriter('Z').finish());
    Client* const done = std::exchange(asker_, nullptr);
    is_ping_ = false;
    if (done != nullptr && !done->flush()) leave(*done);
    if (!queued_) return;
    const QueryRequest next = *std::exchange(queued_, std::nullopt);
    const auto owner = std::find_if(clients_.begin(), clients_.end(), [](const auto& client) { return client->is_attached; });
    if (owner != clients_.end()) begin_query(owner->get(), next);
  }
}

void Keeper::tell(const std::string& frame) {
  if (asker_ != nullptr) asker_->send(frame);
}

void Keeper::leave(const Client& client) {
  if (client.is_attached) {
    left_alone_ = Clock::now();
    queued_.reset();
  }
  // A query that still runs goes on to its end: cancelled, it would take the transaction with it.
  if (asker_ == &client) asker_ = nullptr;
  std::erase_if(clients_, [&](const auto& other) { return other.get() == &client; });
}

std::string Keeper::describe() const {
  const auto owner = std::find_if(clients_.begin(), clients_.end(), [](const auto& client) { return client->is_attached; });
  const auto end = end_of_time();
  const auto started_ms = std::chrono::duration_cast<milliseconds>(started_at_.time_since_epoch()).count();
  FrameWriter frame('I');
  frame.text(start_.id).text(start_.database);
  frame.number(static_cast<std::uint32_t>(::getpid())).number(static_cast<std::uint32_t>(connection_.backend_pid()));
  frame.text(std::to_string(started_ms)).number(to_number(start_.ttl));
  frame.number(owner == clients_.end() ? 0 : static_cast<std::uint32_t>((*owner)->pid()));
  frame.number(end == Clock::time_point::max() ? kNoNumber : to_number(std::chrono::duration_cast<milliseconds>(end - Clock::now())));
  frame.number(is_held_ ? 1 : 0).number(stream_.is_running() ? 1 : 0);
  for (const auto& text : {pinged_, note_}) frame.text_or_null(text ? std::optional<std::string_view>(*text) : std::nullopt);
  return frame.finish();
}

void Keeper::on_columns(const std::vector<std::string_view>& names) {
  if (asker_ == nullptr) return;
  FrameWriter frame('C');
  frame.number(static_cast<std::uint32_t>(names.size()));
  for (const std::string_view name : names) frame.text(name);
  tell(frame.finish());
}

void Keeper::on_row(const std::vector<std::optional<std::string_view>>& values) {
  if (is_ping_ && !values.empty()) pinged_ = values.front() ? std::optional<std::string>(*values.front()) : std::nullopt;
  if (asker_ == nullptr) return;
  FrameWriter frame('D');
  frame.number(static_cast<std::uint32_t>(values.size()));
  for (const auto& value : values) frame.text_or_null(value);
  tell(frame.finish());
}

void Keeper::on_command(std::string_view tag) { tell(FrameWriter('T').text(tag).finish()); }

void Keeper::on_error(const Error& error) { tell(to_frame(error)); }

}  // namespace dbbackup::keeper
