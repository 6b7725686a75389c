#include "addon/completion.h"

#include <exception>

#include "addon/error_bridge.h"

namespace dbbackup {

namespace {

void settle(Napi::Env env, const Napi::Promise::Deferred& deferred, Napi::Object owner, const Completions::MakeValue& make_value) {
  Napi::Value reason;
  try {
    deferred.Resolve(make_value(env, owner));
    return;
  } catch (const Napi::Error& error) {
    reason = error.Value();
  } catch (const Error& error) {
    reason = to_js_error(env, error);
  } catch (const std::exception& error) {
    reason = to_js_error(env, error);
  }
  deferred.Reject(reason);
}

}  // namespace

Completions::Completions(Napi::Env env) : wake_(Wake::New(env, "dbbackup", 0, 1, this)) { wake_.Unref(env); }

Napi::Promise Completions::open(Napi::Env env, Napi::Object owner, const std::function<void(Ticket)>& launch) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  if (pending_.empty()) wake_.Ref(env);
  const Ticket ticket = ++last_ticket_;
  pending_.emplace(ticket, Pending{deferred, owner.IsEmpty() ? Napi::ObjectReference() : Napi::Persistent(owner)});
  try {
    launch(ticket);
  } catch (const std::exception&) {
    post(ticket, [error = std::current_exception()](Napi::Env, Napi::Object) -> Napi::Value { std::rethrow_exception(error); });
  }
  return deferred.Promise();
}

void Completions::post(Ticket ticket, MakeValue make_value) noexcept {
  const std::lock_guard lock(mutex_);
  posted_.push_back({ticket, std::move(make_value)});
  // One call wakes for everything that is posted until it runs.
  if (posted_.size() == 1) wake_.NonBlockingCall();
}

void Completions::abandon() noexcept {
  pending_.clear();
  const std::lock_guard lock(mutex_);
  posted_.clear();
}

void Completions::wake(Napi::Env env, Napi::Function, Completions* self, void*) {
  // Null when the environment is going away.
  if (static_cast<napi_env>(env) != nullptr) self->settle_posted(env);
}

void Completions::settle_posted(Napi::Env env) {
  std::vector<Posted> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const Posted& each : posted) {
    const auto found = pending_.extract(each.ticket);
    if (found.empty()) continue;
    if (pending_.empty()) wake_.Unref(env);
    const Napi::HandleScope scope(env);
    try {
      settle(env, found.mapped().deferred, found.mapped().owner.Value(), each.make_value);
    } catch (const Napi::Error&) {
      // Only an environment that is being terminated refuses to settle a promise; nobody is left to be told.
    }
  }
}

}  // namespace dbbackup
