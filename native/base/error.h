#pragma once

#include <cstring>
#include <exception>
#include <string>
#include <utility>

namespace dbbackup {

/// Error codes the engine may throw; `src/core/error-codes.ts` is their catalogue and a test compares both lists.
namespace code {
inline constexpr const char* kConnectionFailed = "connection_failed";
inline constexpr const char* kAuthenticationFailed = "authentication_failed";
inline constexpr const char* kDatabaseNotFound = "database_not_found";
inline constexpr const char* kConnectionLost = "connection_lost";
inline constexpr const char* kPermissionDenied = "permission_denied";
inline constexpr const char* kServerError = "server_error";
inline constexpr const char* kProtocolViolation = "protocol_violation";
inline constexpr const char* kLockNotAvailable = "lock_not_available";
inline constexpr const char* kLocked = "locked";
inline constexpr const char* kRelationChanged = "relation_changed";
inline constexpr const char* kSnapshotInvalid = "snapshot_invalid";
inline constexpr const char* kRowTooLarge = "row_too_large";
inline constexpr const char* kPageDamaged = "page_damaged";
inline constexpr const char* kDiskFull = "disk_full";
inline constexpr const char* kIoError = "io_error";
inline constexpr const char* kNotWritable = "not_writable";
inline constexpr const char* kDataDamaged = "data_damaged";
inline constexpr const char* kTypeMissing = "type_missing";
inline constexpr const char* kCancelled = "cancelled";
inline constexpr const char* kUsage = "usage";
inline constexpr const char* kInternal = "internal";
inline constexpr const char* kAll[] = {
    kConnectionFailed, kAuthenticationFailed, kDatabaseNotFound, kConnectionLost,  kPermissionDenied,
    kServerError,      kProtocolViolation,    kLockNotAvailable, kRelationChanged, kSnapshotInvalid,
    kRowTooLarge,      kPageDamaged,          kDiskFull,         kIoError,         kNotWritable,
    kDataDamaged,      kTypeMissing,          kCancelled,        kUsage,           kInternal,
    kLocked,
};
}  // namespace code

/// Fields of a server's ErrorResponse (PostgreSQL manual, "Error and Notice Message Fields"); empty where the server sent none.
struct PgFields {
  std::string severity, sqlstate, message, detail, hint, position, schema, table;
};

/// The one exception type. Messages are lower case, without a full stop and without secrets.
class Error : public std::exception {
 public:
  Error(const char* code, std::string message) : code_(code), message_(std::move(message)) {}

  /// An error of the operating system: picks disk_full, not_writable or io_error by `error_number` and appends its text to the message.
  static Error from_errno(int error_number, const std::string& what, std::string path);
  /// An error the server reported: picks the code by SQLSTATE.
  static Error from_server(PgFields fields);

  const char* what() const noexcept override { return message_.c_str(); }
  const char* code() const noexcept { return code_; }
  /// Compares the text: one literal may stand at several addresses.
  bool is(const char* code) const noexcept { return std::strcmp(code_, code) == 0; }
  const std::string& message() const noexcept { return message_; }

  PgFields pg;
  int error_number = 0;
  std::string path;
  /// What the error is about, as the task names it: `public.orders chunk 3/17`.
  std::string object;
  std::string hint;

 private:
  const char* code_;
  std::string message_;
};

}  // namespace dbbackup
