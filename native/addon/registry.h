#pragma once

#include <memory>
#include <unordered_set>

#include "addon/background.h"
#include "addon/completion.h"
#include "addon/napi_setup.h"

namespace dbbackup {

class Registry;

/// Something open that owns native threads. It lives and dies on the JavaScript thread.
class Resource {
 public:
  explicit Resource(Registry& registry);
  virtual ~Resource();
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;

  /// Makes its threads end soon; does not wait.
  virtual void stop() noexcept = 0;
  /// Stops and joins its threads; blocks.
  virtual void join() noexcept = 0;

 protected:
  /// Null once the environment has been stopped: nothing can be opened, run or settled any more.
  Registry* registry() const noexcept { return registry_; }
  /// A promise that is rejected with `cancelled`.
  static Napi::Promise reject_cancelled(Napi::Env env, const char* message);
  /// A promise that resolves once `core`, which was stopped, has joined its threads on the registry's closing thread.
  Napi::Value close_later(const Napi::CallbackInfo& info, std::shared_ptr<void> core);
  /// The same without a promise, for a resource that is collected without having been closed.
  void drop_later(std::shared_ptr<void> core) noexcept;

 private:
  friend class Registry;
  Registry* registry_;
};

/// Everything native that one JavaScript environment (main thread or worker thread) has running. Belongs to its JavaScript thread.
class Registry {
 public:
  /// Makes the environment's registry; it is stopped and deleted with the environment.
  static void create(Napi::Env env);
  /// The registry of `env`. Throws `cancelled` when it has been stopped.
  static Registry& of(Napi::Env env);
  explicit Registry(Napi::Env env) : completions_(env) {}

  Completions& completions() noexcept { return completions_; }
  /// Joins what is being closed.
  BackgroundThread& closer() noexcept { return closer_; }
  /// Hashes files.
  BackgroundThread& hasher() noexcept { return hasher_; }

  /// Stops and joins every thread of the environment. No promise is settled afterwards; further calls do nothing.
  void stop_all() noexcept;
  static void stop_all(Napi::Env env) noexcept;

 private:
  friend class Resource;
  Completions completions_;
  BackgroundThread closer_;
  BackgroundThread hasher_;
  std::unordered_set<Resource*> open_;
  bool is_stopped_ = false;
};

}  // namespace dbbackup
