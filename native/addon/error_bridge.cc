#include "addon/error_bridge.h"

namespace dbbackup {

namespace {

void set_text(Napi::Object object, const char* name, const std::string& text) {
  if (!text.empty()) object.Set(name, text);
}

}  // namespace

Napi::Value to_js_error(Napi::Env env, const Error& error) {
  const Napi::Object object = Napi::Error::New(env, error.message()).Value();
  set_text(object, "code", error.code());
  set_text(object, "object", error.object);
  set_text(object, "severity", error.pg.severity);
  set_text(object, "sqlstate", error.pg.sqlstate);
  set_text(object, "detail", error.pg.detail);
  set_text(object, "hint", error.hint.empty() ? error.pg.hint : error.hint);
  set_text(object, "position", error.pg.position);
  set_text(object, "schema", error.pg.schema);
  set_text(object, "table", error.pg.table);
  set_text(object, "path", error.path);
  if (error.error_number != 0) object.Set("errno", error.error_number);
  return object;
}

Napi::Value to_js_error(Napi::Env env, const std::exception& error) { return to_js_error(env, Error(code::kInternal, error.what())); }

Napi::Error type_error(Napi::Env env, const std::string& message) {
  Napi::Error error = Napi::TypeError::New(env, message);
  error.Set("code", code::kUsage);
  return error;
}

}  // namespace dbbackup
