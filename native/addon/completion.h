#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "addon/napi_setup.h"

namespace dbbackup {

/// The promises of one environment that native threads settle. One thread-safe function for all of them, which keeps the event loop alive
/// only while a promise is open. Everything but `post` belongs to the JavaScript thread; JavaScript values never leave it.
class Completions {
 public:
  /// Names an open promise.
  using Ticket = std::uint64_t;
  /// Runs on the JavaScript thread and gives what the promise resolves to; what it throws rejects the promise.
  using MakeValue = std::function<Napi::Value(Napi::Env env, Napi::Object owner)>;

  explicit Completions(Napi::Env env);

  /// A new promise, which `launch` sets to work; what it throws rejects the promise. `owner`, unless it is empty, is not collected before
  /// the promise is settled.
  Napi::Promise open(Napi::Env env, Napi::Object owner, const std::function<void(Ticket)>& launch);
  /// Settles the promise of a ticket, soon, on the JavaScript thread. Call once per ticket, from any thread.
  void post(Ticket ticket, MakeValue make_value) noexcept;
  /// Forgets all open promises: for the end of the environment, when they can no longer be settled.
  void abandon() noexcept;

 private:
  struct Pending {
    Napi::Promise::Deferred deferred;
    Napi::ObjectReference owner;
  };
  struct Posted {
    Ticket ticket;
    MakeValue make_value;
  };
  static void wake(Napi::Env env, Napi::Function, Completions* self, void*);
  void settle_posted(Napi::Env env);

  using Wake = Napi::TypedThreadSafeFunction<Completions, void, &Completions::wake>;
  Wake wake_;
  std::unordered_map<Ticket, Pending> pending_;
  Ticket last_ticket_ = 0;
  std::mutex mutex_;
  std::vector<Posted> posted_;
};

}  // namespace dbbackup
