#include "addon/hash_binding.h"

#include <stop_token>

#include "addon/error_bridge.h"
#include "addon/fields.h"
#include "addon/registry.h"
#include "pipeline/hash_file.h"

namespace dbbackup {

Napi::Value hash_file(const Napi::CallbackInfo& info) {
  Registry& registry = Registry::of(info.Env());
  Completions& completions = registry.completions();
  std::string path = Field(info[0], "path").text();
  const Checksum checksum = parse_checksum(Field(info[1], "checksum").text());
  if (!info[2].IsUndefined() && !info[2].IsFunction()) throw type_error(info.Env(), "onStarted must be a function");
  // Copies share one state.
  std::stop_source own;
  const Napi::Value promise = completions.open(info.Env(), Napi::Object(), [&](Completions::Ticket ticket) {
    registry.hasher().submit([path = std::move(path), checksum, ticket, &completions, own](const std::stop_token& stop) mutable {
      std::string hex;
      std::exception_ptr error;
      try {
        const std::stop_callback forward(stop, [&own] { own.request_stop(); });
        hex = hash_file(path, checksum, own.get_token());
      } catch (const std::exception&) {
        error = std::current_exception();
      }
      completions.post(ticket, [hex, error](Napi::Env env, Napi::Object) {
        if (error) std::rethrow_exception(error);
        return Napi::String::New(env, hex);
      });
    });
  });
  if (info[2].IsFunction()) {
    info[2].As<Napi::Function>().Call({Napi::Function::New(info.Env(), [own](const Napi::CallbackInfo&) mutable { own.request_stop(); })});
  }
  return promise;
}

}  // namespace dbbackup
