#pragma once

#include <stop_token>
#include <string>

#include "codec/names.h"

namespace dbbackup {

/// Checksum of a file's bytes, lower-case hex. Reads in pieces of 1 MiB; blocks. Throws io_error, and cancelled on a stop.
std::string hash_file(const std::string& path, Checksum checksum, std::stop_token stop = {});

}  // namespace dbbackup
