#include "keeper/requests.h"

namespace dbbackup::keeper {

namespace {

Error violation(const char* message) { return Error(code::kProtocolViolation, message); }

std::vector<std::string> read_texts(FieldReader& fields) {
  std::vector<std::string> texts;
  for (auto& text : fields.texts()) {
    if (!text) throw violation("a field without its text");
    texts.push_back(*std::move(text));
  }
  return texts;
}

}  // namespace

StartRequest parse_start(const Frame& frame) {
  if (frame.type != 'b') throw violation("a keeper begins with its start message");
  FieldReader fields(frame.fields);
  StartRequest request;
  request.id = fields.text();
  request.database = fields.text();
  request.socket_path = fields.text();
  request.ttl = std::chrono::milliseconds(fields.number());
  request.ping = std::chrono::milliseconds(fields.number());
  request.connection.keywords = read_texts(fields);
  request.connection.values = read_texts(fields);
  fields.end();
  if (request.connection.keywords.size() != request.connection.values.size()) throw violation("connection parameters without values");
  if (request.ping.count() == 0) throw violation("a keeper that never speaks with its server");
  return request;
}

Request parse_request(const Frame& frame) {
  FieldReader fields(frame.fields);
  Request request;
  switch (frame.type) {
    case 'a': request = AttachRequest{}; break;
    case 'q': request = QueryRequest{fields.text(), std::nullopt}; break;
    case 'p': {
      std::string sql = fields.text();
      request = QueryRequest{std::move(sql), fields.texts()};
      break;
    }
    case 'h': {
      std::string ping_sql = fields.text();
      request = HoldRequest{std::move(ping_sql), fields.text()};
      break;
    }
    case 'i': request = InfoRequest{}; break;
    case 's': request = StopRequest{}; break;
    default: throw violation("a request of an unknown type");
  }
  fields.end();
  return request;
}

std::string to_frame(const Error& error) {
  FrameWriter frame('E');
  frame.text(error.code()).text(error.message());
  const PgFields& pg = error.pg;
  for (const std::string* field : {&pg.severity, &pg.sqlstate, &pg.detail, &pg.hint, &pg.position, &pg.schema, &pg.table})
    frame.text(*field);
  return frame.finish();
}

}  // namespace dbbackup::keeper
