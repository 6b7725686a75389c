#pragma once

/// The one place that configures and includes node-addon-api.
///
/// C++ exceptions are on: the core reports errors by exceptions anyway, and with them every failed N-API call and every field of the wrong
/// type leaves a conversion at once. `guarded` (error_bridge.h) and `Completions` are the two places where they end.

// Version 8 has type tags; every Node from 12.19 on provides it.
#define NAPI_VERSION 8
#define NODE_ADDON_API_CPP_EXCEPTIONS
#define NODE_ADDON_API_DISABLE_DEPRECATED
// An exception that cannot be thrown because the environment is being torn down is dropped; without this it ends the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <napi.h>
#pragma GCC diagnostic pop
