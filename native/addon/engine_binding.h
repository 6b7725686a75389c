#pragma once

#include <memory>

#include "addon/registry.h"
#include "pipeline/scheduler.h"

namespace dbbackup {

/// `EngineHandle` of `src/native/binding.ts`.
class EngineBinding final : public Resource {
 public:
  static constexpr napi_type_tag kTypeTag{0x5cb1c6a2f1b34c0e, 0x9a6f1d2be07f43d1};

  /// `openEngine(options)`.
  static Napi::Value open(const Napi::CallbackInfo& info);
  EngineBinding(Registry& registry, const EngineOptions& options);
  ~EngineBinding() override;

  void stop() noexcept override;
  void join() noexcept override;

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);
  Napi::Value probe(const Napi::CallbackInfo& info);
  Napi::Value sever(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  /// Null once closed.
  std::unique_ptr<Scheduler> scheduler_;
  /// What `stats()` gives after that.
  EngineStats last_stats_;
};

}  // namespace dbbackup
