#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "base/error.h"

namespace dbbackup::test {

/// The Error that `work` throws; nullopt when it throws none. Anything else goes through and fails the test.
template <typename Work>
std::optional<Error> error_of(Work&& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

/// The code of the Error that `work` throws; `none` when it throws none.
template <typename Work>
std::string code_of(Work&& work) {
  const std::optional<Error> error = error_of(work);
  return error ? error->code() : "none";
}

}  // namespace dbbackup::test
