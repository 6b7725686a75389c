#include <zstd.h>

#include "addon/convert.h"
#include "addon/engine_binding.h"
#include "addon/error_bridge.h"
#include "addon/fields.h"
#include "addon/hash_binding.h"
#include "addon/napi_setup.h"
#include "addon/registry.h"
#include "addon/session_binding.h"
#include "pg/connection.h"
#include "pg/init.h"

namespace dbbackup {

namespace {

Napi::Value error_codes(const Napi::CallbackInfo& info) { return to_js(info.Env(), {std::begin(code::kAll), std::end(code::kAll)}); }

Napi::Value versions(const Napi::CallbackInfo& info) {
  const auto object = Napi::Object::New(info.Env());
  object.Set("libpq", libpq_version());
  object.Set("zstd", ZSTD_versionString());
  object.Set("openssl", openssl_version());
  return object;
}

Napi::Value database_of_connection(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), database_of(Field(info[0], "connection").text()));
}

Napi::Value stop_all(const Napi::CallbackInfo& info) {
  Registry::stop_all(info.Env());
  return info.Env().Undefined();
}

using Function = Napi::Value (*)(const Napi::CallbackInfo&);

template <Function function>
Napi::Value call(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return function(info); });
}

template <Function function>
void set_function(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<call<function>>(exports.Env(), name));
}

/// Called once per environment (main thread and every worker thread that loads the addon).
Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  init_libraries();
  guarded(env, [&] {
    Registry::create(env);
    return env.Undefined();
  });
  set_function<error_codes>(exports, "errorCodes");
  set_function<database_of_connection>(exports, "databaseOf");
  set_function<versions>(exports, "versions");
  set_function<SessionBinding::open>(exports, "openSession");
  set_function<EngineBinding::open>(exports, "openEngine");
  set_function<hash_file>(exports, "hashFile");
  set_function<stop_all>(exports, "stopAll");
  return exports;
}

}  // namespace

}  // namespace dbbackup

// The macro makes a new name out of the function's.
using dbbackup::init_addon;
NODE_API_MODULE(dbbackup, init_addon)
