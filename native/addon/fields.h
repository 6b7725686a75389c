#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "addon/napi_setup.h"

namespace dbbackup {

/// A JavaScript value with its place among the arguments (`task.sources[3].copySql`). Each reader takes exactly one type and throws a
/// TypeError that names the place otherwise.
class Field {
 public:
  Field(Napi::Value value, std::string place) : value_(value), place_(std::move(place)) {}

  /// The named field of this object. Throws when this is not an object; an absent field is `undefined`, which no reader takes.
  Field at(const char* name) const;
  /// The elements of this array.
  std::vector<Field> items() const;

  bool is_null() const { return value_.IsNull(); }
  /// UTF-8, without NUL: libpq and the file system would end the string there.
  std::string text() const;
  std::optional<std::string> text_or_null() const;
  std::vector<std::string> texts() const;
  bool flag() const;
  /// An integer of this range; the largest range is that of `Number.isSafeInteger`.
  std::int64_t integer(std::int64_t lowest, std::int64_t highest) const;
  /// 0 to 2^53-1.
  std::uint64_t size() const;

  [[noreturn]] void refuse(const std::string& expected) const;

 private:
  Napi::Value value_;
  std::string place_;
};

}  // namespace dbbackup
