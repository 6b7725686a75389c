#include "addon/hash_binding.h"

#include "addon/fields.h"
#include "addon/registry.h"
#include "pipeline/hash_file.h"

namespace dbbackup {

Napi::Value hash_file(const Napi::CallbackInfo& info) {
  Registry& registry = Registry::of(info.Env());
  Completions& completions = registry.completions();
  std::string path = Field(info[0], "path").text();
  const Checksum checksum = parse_checksum(Field(info[1], "checksum").text());
  return completions.open(info.Env(), Napi::Object(), [&](Completions::Ticket ticket) {
    registry.hasher().submit([path = std::move(path), checksum, ticket, &completions](const std::stop_token& stop) {
      std::string hex;
      std::exception_ptr error;
      try {
        hex = hash_file(path, checksum, stop);
      } catch (const std::exception&) {
        error = std::current_exception();
      }
      completions.post(ticket, [hex, error](Napi::Env env, Napi::Object) {
        if (error) std::rethrow_exception(error);
        return Napi::String::New(env, hex);
      });
    });
  });
}

}  // namespace dbbackup
