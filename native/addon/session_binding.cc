#include "addon/session_binding.h"

#include <algorithm>
#include <utility>

#include "addon/convert.h"
#include "addon/fields.h"
#include "addon/wrap.h"

namespace dbbackup {

namespace {

constexpr std::size_t kKeptNotices = 100;

}  // namespace

Napi::Value SessionBinding::open(const Napi::CallbackInfo& info) {
  Registry& registry = Registry::of(info.Env());
  ConnectionSpec connection = read_connection(info[0]);
  if (!info[1].IsUndefined() && !info[1].IsFunction()) throw type_error(info.Env(), "onStarted must be a function");

  using Self = SessionBinding;
  auto instance = std::make_unique<Self>(registry);
  Self& self = *instance;
  const Napi::Object handle =
      wrap<Self>(info.Env(), std::move(instance),
                 {bind<Self, &Self::query>("query"), bind<Self, &Self::info>("info"), bind<Self, &Self::password>("password"),
                  bind<Self, &Self::notices>("notices"), bind<Self, &Self::stop>("stop"), bind<Self, &Self::close>("close")});
  const Napi::Value promise = self.connect(info, handle, std::move(connection));
  if (info[1].IsFunction()) info[1].As<Napi::Function>().Call({handle});
  return promise;
}

SessionBinding::~SessionBinding() {
  stop();
  drop_later(std::move(session_));
}

void SessionBinding::stop() noexcept {
  if (session_) session_->stop();
}

void SessionBinding::join() noexcept { session_.reset(); }

Napi::Value SessionBinding::connect(const Napi::CallbackInfo& info, Napi::Object handle, ConnectionSpec connection) {
  Completions& completions = registry()->completions();
  return completions.open(info.Env(), handle, [&](Completions::Ticket ticket) {
    session_ = std::make_unique<ControlSession>(std::move(connection), [this, &completions, ticket](ControlSession::OpenOutcome outcome) {
      // The promise owns the handle, and with it `this`, until it is settled.
      completions.post(ticket, [this, outcome = std::move(outcome)](Napi::Env, Napi::Object owner) {
        if (outcome.error) {
          drop_later(std::move(session_));
          throw *outcome.error;
        }
        info_ = outcome.info;
        return owner;
      });
    });
  });
}

Napi::Value SessionBinding::query(const Napi::CallbackInfo& info) {
  std::string sql = Field(info[0], "sql").text();
  auto params = read_params(info[1]);
  if (!session_) return reject_cancelled(info.Env(), "the session is closed");
  Completions& completions = registry()->completions();
  return completions.open(info.Env(), info.This().As<Napi::Object>(), [&](Completions::Ticket ticket) {
    session_->query(std::move(sql), std::move(params), [this, &completions, ticket](ControlSession::QueryOutcome outcome) {
      completions.post(ticket, [this, outcome = std::move(outcome)](Napi::Env env, Napi::Object) {
        keep_notices(outcome.notices);
        if (outcome.error) throw *outcome.error;
        return to_js(env, outcome.result);
      });
    });
  });
}

Napi::Value SessionBinding::info(const Napi::CallbackInfo& info) { return to_js(info.Env(), opened_info()); }

Napi::Value SessionBinding::password(const Napi::CallbackInfo& info) {
  if (!opened_info().password) return info.Env().Null();
  return Napi::String::New(info.Env(), *opened_info().password);
}

Napi::Value SessionBinding::notices(const Napi::CallbackInfo& info) { return to_js(info.Env(), std::exchange(notices_, {})); }

Napi::Value SessionBinding::stop(const Napi::CallbackInfo& info) {
  stop();
  return info.Env().Undefined();
}

Napi::Value SessionBinding::close(const Napi::CallbackInfo& info) {
  stop();
  return close_later(info, std::move(session_));
}

const SessionInfo& SessionBinding::opened_info() const {
  if (!info_) throw Error(code::kUsage, "the session is not connected yet");
  return *info_;
}

void SessionBinding::keep_notices(const std::vector<std::string>& notices) {
  const std::size_t room = kKeptNotices - notices_.size();
  notices_.insert(notices_.end(), notices.begin(), notices.begin() + static_cast<std::ptrdiff_t>(std::min(room, notices.size())));
}

}  // namespace dbbackup
