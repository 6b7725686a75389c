#pragma once

#include <cstdint>
#include <string_view>

#include "pg/row_format.h"
#include "support/bytes.h"

/// Messages a server sends: PostgreSQL manual, "Message Formats".
namespace dbbackup::test::wire {

inline Bytes message(char type, std::span<const std::byte> body = {}) {
  Bytes made{static_cast<std::byte>(type)};
  append_be32(made, static_cast<std::uint32_t>(body.size() + 4));
  append(made, body);
  return made;
}
inline Bytes message(char type, std::string_view body) { return message(type, std::as_bytes(std::span(body))); }

/// A message whose length field is a lie.
inline Bytes message_of_length(char type, std::uint32_t length) {
  Bytes made{static_cast<std::byte>(type)};
  append_be32(made, length);
  return made;
}

inline Bytes authentication_ok() { return message('R', Bytes(4)); }
inline Bytes parameter_status(std::string_view name, std::string_view value) {
  Bytes body = bytes_of(name);
  body.push_back({});
  append(body, bytes_of(value));
  body.push_back({});
  return message('S', body);
}
inline Bytes backend_key_data() { return message('K', bytes_of("pid.key.")); }
inline Bytes ready_for_query(char status = 'I') { return message('Z', std::string_view(&status, 1)); }
inline Bytes command_complete(std::string_view tag) {
  Bytes body = bytes_of(tag);
  body.push_back({});
  return message('C', body);
}
inline Bytes copy_response(char type, RowFormat format) {
  Bytes body{format == RowFormat::kBinary ? std::byte{1} : std::byte{0}};
  append_be16(body, 1);
  append_be16(body, format == RowFormat::kBinary ? 1 : 0);
  return message(type, body);
}
inline Bytes copy_out_response(RowFormat format) { return copy_response('H', format); }
inline Bytes copy_in_response(RowFormat format) { return copy_response('G', format); }
inline Bytes copy_data(std::span<const std::byte> payload) { return message('d', payload); }
inline Bytes copy_done() { return message('c'); }

/// ErrorResponse (`type` E) or NoticeResponse (N).
inline Bytes report(char type, std::string_view severity, std::string_view sqlstate, std::string_view text) {
  Bytes body;
  const auto field = [&](char name, std::string_view value) {
    body.push_back(static_cast<std::byte>(name));
    append(body, bytes_of(value));
    body.push_back({});
  };
  field('S', severity);
  field('V', severity);
  field('C', sqlstate);
  field('M', text);
  body.push_back({});
  return message(type, body);
}
inline Bytes error_response(std::string_view sqlstate, std::string_view text) { return report('E', "ERROR", sqlstate, text); }
inline Bytes notice(std::string_view text) { return report('N', "NOTICE", "00000", text); }

}  // namespace dbbackup::test::wire
