#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/registry.h"
#include "pipeline/control_session.h"

namespace dbbackup {

/// `SessionHandle` of `src/native/binding.ts`.
class SessionBinding final : public Resource {
 public:
  static constexpr napi_type_tag kTypeTag{0x3b0d8be95e1f4c77, 0xb6d4a1c08e2957fa};

  /// `openSession(connection, onStarted?)`.
  static Napi::Value open(const Napi::CallbackInfo& info);
  explicit SessionBinding(Registry& registry) : Resource(registry) {}
  ~SessionBinding() override;

  void stop() noexcept override;
  void join() noexcept override;

 private:
  Napi::Value connect(const Napi::CallbackInfo& info, Napi::Object handle, ConnectionSpec connection);
  Napi::Value query(const Napi::CallbackInfo& info);
  Napi::Value info(const Napi::CallbackInfo& info);
  Napi::Value password(const Napi::CallbackInfo& info);
  Napi::Value notices(const Napi::CallbackInfo& info);
  Napi::Value stop(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  const SessionInfo& opened_info() const;
  void keep_notices(const std::vector<std::string>& notices);

  /// Null before `connect` and once closed.
  std::unique_ptr<ControlSession> session_;
  std::optional<SessionInfo> info_;
  std::vector<std::string> notices_;
};

}  // namespace dbbackup
