#pragma once

#include <exception>

#include "addon/napi_setup.h"
#include "base/error.h"

namespace dbbackup {

/// `error` as a JavaScript Error: message, `code`, and `object`, `severity`, `sqlstate`, `detail`, `hint`, `position`, `schema`, `table`,
/// `errno`, `path` as own properties, each only where it applies.
Napi::Value to_js_error(Napi::Env env, const Error& error);

/// The same for an exception of any other kind: code `internal`.
Napi::Value to_js_error(Napi::Env env, const std::exception& error);

/// A TypeError with code `usage`, to be thrown.
Napi::Error type_error(Napi::Env env, const std::string& message);

/// Runs `body`; whatever it throws becomes a JavaScript exception.
template <typename Body>
Napi::Value guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw Napi::Error(env, to_js_error(env, error));
  } catch (const std::exception& error) {
    throw Napi::Error(env, to_js_error(env, error));
  }
}

}  // namespace dbbackup
