#include "addon/fields.h"

#include <cmath>

#include "addon/error_bridge.h"

namespace dbbackup {

namespace {

constexpr std::int64_t kMaxSafeInteger = (std::int64_t{1} << 53) - 1;

const char* type_name(const Napi::Value& value) {
  if (value.IsArray()) return "an array";
  switch (value.Type()) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return "a boolean";
    case napi_number: return "a number";
    case napi_string: return "a string";
    case napi_object: return "an object";
    case napi_function: return "a function";
    case napi_bigint: return "a bigint";
    default: return "a value of another type";
  }
}

}  // namespace

void Field::refuse(const std::string& expected) const {
  throw type_error(value_.Env(), place_ + " must be " + expected + ", not " + type_name(value_));
}

Field Field::at(const char* name) const {
  if (value_.Type() != napi_object || value_.IsArray()) refuse("an object");
  return {value_.As<Napi::Object>().Get(name), place_ + "." + name};
}

std::vector<Field> Field::items() const {
  if (!value_.IsArray()) refuse("an array");
  const auto array = value_.As<Napi::Array>();
  std::vector<Field> items;
  items.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index)
    items.emplace_back(array.Get(index), place_ + "[" + std::to_string(index) + "]");
  return items;
}

std::string Field::text() const {
  if (!value_.IsString()) refuse("a string");
  std::string text = value_.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) throw type_error(value_.Env(), place_ + " must not contain a NUL character");
  return text;
}

std::optional<std::string> Field::text_or_null() const {
  if (is_null()) return std::nullopt;
  if (!value_.IsString()) refuse("a string or null");
  return text();
}

std::vector<std::string> Field::texts() const {
  std::vector<std::string> texts;
  for (const Field& item : items()) texts.push_back(item.text());
  return texts;
}

bool Field::flag() const {
  if (!value_.IsBoolean()) refuse("a boolean");
  return value_.As<Napi::Boolean>().Value();
}

std::int64_t Field::integer(std::int64_t lowest, std::int64_t highest) const {
  const std::string expected = "an integer from " + std::to_string(lowest) + " to " + std::to_string(highest);
  if (!value_.IsNumber()) refuse(expected);
  const double number = value_.As<Napi::Number>().DoubleValue();
  // NaN fails the first comparison. Both limits are safe integers, so comparing as double is exact.
  if (!(std::trunc(number) == number) || number < static_cast<double>(lowest) || number > static_cast<double>(highest)) {
    throw type_error(value_.Env(), place_ + " must be " + expected);
  }
  return static_cast<std::int64_t>(number);
}

std::uint64_t Field::size() const { return static_cast<std::uint64_t>(integer(0, kMaxSafeInteger)); }

}  // namespace dbbackup
