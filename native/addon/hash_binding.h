#pragma once

#include "addon/napi_setup.h"

namespace dbbackup {

/// `hashFile(path, checksum)` of `src/native/binding.ts`.
Napi::Value hash_file(const Napi::CallbackInfo& info);

}  // namespace dbbackup
