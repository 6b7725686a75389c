#include "pipeline/control_session.h"

#include <condition_variable>
#include <deque>
#include <mutex>

namespace dbbackup {

struct ControlSession::Impl {
  struct Request {
    std::string sql;
    std::optional<std::vector<std::optional<std::string>>> params;
    std::function<void(QueryOutcome)> done;
  };

  Stop stop;
  std::mutex mutex;
  std::condition_variable_any submitted;
  std::deque<Request> requests;
  bool is_over = false;

  std::optional<Connection> connect(const ConnectionSpec& spec, const std::function<void(OpenOutcome)>& opened) {
    OpenOutcome outcome;
    std::optional<Connection> connection;
    try {
      connection.emplace(spec, stop);
      SessionInfo& info = outcome.info;
      info.server_version = connection->server_version();
      info.backend_pid = connection->backend_pid();
      info.host = connection->host();
      info.port = connection->port();
      info.user = connection->user();
      info.database = connection->database();
      info.client_encoding = connection->parameter("client_encoding");
      info.is_tls = connection->is_tls();
      info.options = connection->options();
      info.password = connection->password();
    } catch (const Error& error) {
      outcome.error = error;
      connection.reset();
    } catch (const std::exception& error) {
      outcome.error = Error(code::kInternal, error.what());
      connection.reset();
    }
    opened(std::move(outcome));
    return connection;
  }

  void answer(Connection& connection, const Request& request) {
    QueryOutcome outcome;
    try {
      outcome.result = request.params ? connection.query(request.sql, *request.params) : connection.query(request.sql);
    } catch (const Error& error) {
      outcome.error = error;
      if (stop.requested()) connection.cancel();
    } catch (const std::exception& error) {
      outcome.error = Error(code::kInternal, error.what());
    }
    outcome.notices = connection.take_notices();
    request.done(std::move(outcome));
  }

  void run(const ConnectionSpec& spec, const std::function<void(OpenOutcome)>& opened) {
    std::optional<Connection> connection = connect(spec, opened);
    while (connection) {
      Request request;
      {
        std::unique_lock lock(mutex);
        // Requests that are left after a stop are refused below; running them would send a cancel request for each.
        if (!submitted.wait(lock, stop.token(), [this] { return !requests.empty(); }) || stop.requested()) break;
        request = std::move(requests.front());
        requests.pop_front();
      }
      answer(*connection, request);
    }
    std::deque<Request> left;
    {
      const std::lock_guard lock(mutex);
      is_over = true;
      left.swap(requests);
    }
    for (Request& request : left) refuse(request.done);
  }

  static void refuse(const std::function<void(QueryOutcome)>& done) {
    QueryOutcome outcome;
    outcome.error = Error(code::kCancelled, "the session is closed");
    done(std::move(outcome));
  }
};

ControlSession::ControlSession(ConnectionSpec spec, std::function<void(OpenOutcome)> opened)
    : impl_(std::make_unique<Impl>()), thread_([this, spec = std::move(spec), opened = std::move(opened)] { impl_->run(spec, opened); }) {}

ControlSession::~ControlSession() {
  stop();
  thread_.join();
}

void ControlSession::query(std::string sql, std::optional<std::vector<std::optional<std::string>>> params,
                           std::function<void(QueryOutcome)> done) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->is_over) {
      impl_->requests.push_back({std::move(sql), std::move(params), std::move(done)});
      impl_->submitted.notify_one();
      return;
    }
  }
  Impl::refuse(done);
}

void ControlSession::stop() noexcept {
  impl_->stop.request();
  impl_->submitted.notify_all();
}

}  // namespace dbbackup
