#include "addon/registry.h"

#include "addon/error_bridge.h"

namespace dbbackup {

Resource::Resource(Registry& registry) : registry_(&registry) { registry.open_.insert(this); }

Resource::~Resource() {
  if (registry_ != nullptr) registry_->open_.erase(this);
}

Napi::Promise Resource::reject_cancelled(Napi::Env env, const char* message) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(to_js_error(env, Error(code::kCancelled, message)));
  return deferred.Promise();
}

Napi::Value Resource::close_later(const Napi::CallbackInfo& info, std::shared_ptr<void> core) {
  if (registry_ == nullptr) {
    const auto deferred = Napi::Promise::Deferred::New(info.Env());
    deferred.Resolve(info.Env().Undefined());
    return deferred.Promise();
  }
  Completions& completions = registry_->completions();
  return completions.open(info.Env(), info.This().As<Napi::Object>(), [&](Completions::Ticket ticket) {
    // The closing thread takes its jobs in order, so a second close resolves after the first even though it has nothing left to join.
    registry_->closer().submit([core = std::move(core), ticket, &completions](const std::stop_token&) mutable {
      core.reset();
      completions.post(ticket, [](Napi::Env env, Napi::Object) { return env.Undefined(); });
    });
  });
}

void Resource::drop_later(std::shared_ptr<void> core) noexcept {
  if (registry_ == nullptr || !core) return;
  try {
    registry_->closer().submit([core](const std::stop_token&) mutable { core.reset(); });
  } catch (const std::exception&) {
    // No thread to be had: `core` ends here, on this thread, which waits for it.
  }
}

void Registry::create(Napi::Env env) {
  auto registry = std::make_unique<Registry>(env);
  // Registered after the thread-safe function's own hook and therefore run before it: no thread is left that could call it.
  const napi_status status = napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Registry*>(self)->stop_all(); }, registry.get());
  if (status != napi_ok) throw Error(code::kInternal, "the addon cannot register its cleanup hook");
  env.SetInstanceData(registry.release());
}

Registry& Registry::of(Napi::Env env) {
  auto* const registry = env.GetInstanceData<Registry>();
  if (registry->is_stopped_) throw Error(code::kCancelled, "the process is ending");
  return *registry;
}

void Registry::stop_all(Napi::Env env) noexcept { env.GetInstanceData<Registry>()->stop_all(); }

void Registry::stop_all() noexcept {
  if (is_stopped_) return;
  is_stopped_ = true;
  for (Resource* const resource : open_) resource->stop();
  for (Resource* const resource : open_) {
    resource->join();
    resource->registry_ = nullptr;
  }
  open_.clear();
  hasher_.finish();
  closer_.finish();
  completions_.abandon();
}

}  // namespace dbbackup
