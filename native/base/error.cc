#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace dbbackup {

Error Error::from_errno(int error_number, const std::string& what, std::string path) {
  const char* code = code::kIoError;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: code = code::kDiskFull; break;
    case EACCES:
    case EPERM:
    case EROFS: code = code::kNotWritable; break;
    default: break;
  }
  Error error(code, what + ": " + std::strerror(error_number));
  error.error_number = error_number;
  error.path = std::move(path);
  return error;
}

namespace {

/// PostgreSQL manual, appendix "PostgreSQL Error Codes".
const char* code_of(const PgFields& fields) {
  const std::string& state = fields.sqlstate;
  if (state == "42501") return code::kPermissionDenied;
  if (state == "28P01" || state == "28000") return code::kAuthenticationFailed;
  if (state == "3D000") return code::kDatabaseNotFound;
  if (state == "55P03") return code::kLockNotAvailable;
  if (state == "XX001" || state == "XX002") return code::kPageDamaged;
  // Ended by an administrator, a crash, or a time-out of idle sessions or of transactions.
  if (state == "57P01" || state == "57P02" || state == "57P05") return code::kConnectionLost;
  if (state == "25P03" || state == "25P04" || state.starts_with("08")) return code::kConnectionLost;
  if (state == "57P03" || state == "53300") return code::kConnectionFailed;
  if (state == "42704") return code::kTypeMissing;
  // A row beyond what one COPY message can hold: palloc refuses the request, or the string buffer cannot grow.
  if (state == "54000" && fields.message.find("string buffer") != std::string::npos) return code::kRowTooLarge;
  if (fields.message.starts_with("invalid memory alloc request size")) return code::kRowTooLarge;
  if (fields.detail.starts_with("Cannot enlarge string buffer")) return code::kRowTooLarge;
  return code::kServerError;
}

}  // namespace

Error Error::from_server(PgFields fields) {
  Error error(code_of(fields), fields.message.empty() ? "the server reported an error without a message" : fields.message);
  error.pg = std::move(fields);
  return error;
}

}  // namespace dbbackup
