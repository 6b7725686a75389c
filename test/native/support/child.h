#pragma once

#include <span>
#include <string>
#include <vector>

#include "support/bytes.h"

namespace dbbackup::test {

struct ChildResult {
  /// Exit status; 128 + number when a signal ended it.
  int status = 0;
  Bytes output;
};

/// Runs a program found on PATH with `input` as its standard input, and waits for it. Its standard error is the test's.
ChildResult run_child(const std::vector<std::string>& command, std::span<const std::byte> input = {});

}  // namespace dbbackup::test
