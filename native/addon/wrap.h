#pragma once

#include <initializer_list>
#include <memory>

#include "addon/error_bridge.h"
#include "addon/napi_setup.h"

/// Native objects as JavaScript objects. `T` has `static constexpr napi_type_tag kTypeTag`, a random number of its own: methods look at the
/// tag of their receiver, so that one called on something else throws and never reads foreign memory.
namespace dbbackup {

template <typename T>
T& unwrap(const Napi::CallbackInfo& info) {
  if (!info.This().IsObject() || !info.This().As<Napi::Object>().CheckTypeTag(&T::kTypeTag)) {
    throw type_error(info.Env(), "the method was called on an object it does not belong to");
  }
  void* instance = nullptr;
  if (napi_unwrap(info.Env(), info.This(), &instance) != napi_ok) throw Napi::Error::New(info.Env());
  return *static_cast<T*>(instance);
}

template <typename T>
struct Method {
  const char* name;
  Napi::Function (*make)(Napi::Env env, const char* name);
};

template <typename T, Napi::Value (T::*method)(const Napi::CallbackInfo&)>
Napi::Value call_method(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return (unwrap<T>(info).*method)(info); });
}

template <typename T, Napi::Value (T::*method)(const Napi::CallbackInfo&)>
constexpr Method<T> bind(const char* name) {
  return {name, [](Napi::Env env, const char* function_name) { return Napi::Function::New<call_method<T, method>>(env, function_name); }};
}

/// Gives `instance` to a new JavaScript object, which deletes it when it is collected or its environment ends.
template <typename T>
Napi::Object wrap(Napi::Env env, std::unique_ptr<T> instance, std::initializer_list<Method<T>> methods) {
  const Napi::Object object = Napi::Object::New(env);
  for (const Method<T>& method : methods) {
    object.DefineProperty(Napi::PropertyDescriptor::Value(method.name, method.make(env, method.name), napi_default));
  }
  object.TypeTag(&T::kTypeTag);
  const auto finalize = [](napi_env, void* data, void*) { std::unique_ptr<T>{static_cast<T*>(data)}; };
  if (napi_wrap(env, object, instance.get(), finalize, nullptr, nullptr) != napi_ok) throw Napi::Error::New(env);
  (void)instance.release();
  return object;
}

}  // namespace dbbackup
