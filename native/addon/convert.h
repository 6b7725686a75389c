#pragma once

#include <optional>
#include <string>
#include <vector>

#include "addon/napi_setup.h"
#include "pipeline/control_session.h"
#include "pipeline/task.h"

/// JavaScript values to structs and back, field by field as `src/native/binding.ts` has them. Reading throws a TypeError that names the
/// field of the wrong type, or `usage` for a name that is none (a codec, a format).
namespace dbbackup {

ConnectionSpec read_connection(Napi::Value value);
TaskSpec read_task(Napi::Value value);
EngineOptions read_engine_options(Napi::Value value);
/// `undefined` gives nullopt: the simple protocol.
std::optional<std::vector<std::optional<std::string>>> read_params(Napi::Value value);

Napi::Value to_js(Napi::Env env, const TaskResult& result);
Napi::Value to_js(Napi::Env env, const EngineStats& stats);
Napi::Value to_js(Napi::Env env, const QueryResult& result);
Napi::Value to_js(Napi::Env env, const SessionInfo& info);
Napi::Value to_js(Napi::Env env, const std::vector<std::string>& texts);

}  // namespace dbbackup
