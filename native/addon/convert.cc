#include "addon/convert.h"

#include "addon/fields.h"

namespace dbbackup {

namespace {

constexpr std::int64_t kMaxInt32 = 0x7fffffff;

/// Appends `read(item)` for each item.
template <typename T, typename Read>
std::vector<T> read_all(const Field& array, Read read) {
  std::vector<T> all;
  for (const Field& item : array.items()) all.push_back(read(item));
  return all;
}

ConnectionSpec read_connection(const Field& field) {
  ConnectionSpec spec{field.at("keywords").texts(), field.at("values").texts()};
  if (spec.keywords.size() != spec.values.size()) field.at("values").refuse("an array as long as keywords");
  return spec;
}

SessionSpec read_session(const Field& field) {
  SessionSpec session;
  session.key = field.at("key").text();
  session.connection = read_connection(field.at("connection"));
  session.setup_sql = field.at("setupSql").texts();
  session.guard_sql = field.at("guardSql").text_or_null();
  session.guard_expected = field.at("guardExpected").text_or_null();
  return session;
}

CopyOutSource read_source(const Field& field) {
  CopyOutSource source;
  source.name = field.at("name").text();
  source.lock_sql = field.at("lockSql").text_or_null();
  source.check_sql = field.at("checkSql").text_or_null();
  source.check_expected = field.at("checkExpected").text_or_null();
  source.copy_sql = field.at("copySql").text();
  source.format = parse_row_format(field.at("format").text());
  return source;
}

FileSinkSpec read_sink(const Field& field) {
  FileSinkSpec sink;
  sink.directory = field.at("directory").text();
  sink.stem = field.at("stem").text();
  sink.extension = field.at("extension").text();
  sink.codec = parse_codec(field.at("codec").text());
  sink.level = static_cast<int>(field.at("level").integer(-kMaxInt32, kMaxInt32));
  sink.checksum = parse_checksum(field.at("checksum").text());
  sink.max_stored_bytes = field.at("maxStoredBytes").size();
  sink.is_direct = field.at("isDirect").flag();
  return sink;
}

void read_segment(const Field& field, SegmentSpec& segment) {
  segment.name = field.at("name").text();
  segment.offset = field.at("offset").size();
  segment.stored_bytes = field.at("storedBytes").size();
  segment.raw_bytes = field.at("rawBytes").size();
  segment.row_count = field.at("rowCount").size();
  segment.digest = field.at("digest").text();
  segment.format = parse_row_format(field.at("format").text());
}

CopyInSegment read_copy_in_segment(const Field& field) {
  CopyInSegment segment;
  read_segment(field, segment);
  segment.path = field.at("path").text();
  segment.codec = parse_codec(field.at("codec").text());
  segment.begin_sql = field.at("beginSql").texts();
  segment.copy_sql = field.at("copySql").text();
  segment.end_sql = field.at("endSql").texts();
  return segment;
}

CopyOutTask read_copy_out(const Field& field) {
  CopyOutTask task;
  task.session = read_session(field.at("session"));
  task.sources = read_all<CopyOutSource>(field.at("sources"), read_source);
  if (const Field sink = field.at("sink"); !sink.is_null()) task.sink = read_sink(sink);
  return task;
}

CopyInTask read_copy_in(const Field& field) {
  return {read_session(field.at("session")), read_all<CopyInSegment>(field.at("segments"), read_copy_in_segment)};
}

CheckTask read_check(const Field& field) {
  CheckTask task;
  task.path = field.at("path").text();
  task.size_bytes = field.at("sizeBytes").size();
  task.checksum = field.at("checksum").text();
  task.checksum_name = parse_checksum(field.at("checksumName").text());
  task.codec = parse_codec(field.at("codec").text());
  task.segments = read_all<SegmentSpec>(field.at("segments"), [](const Field& item) {
    SegmentSpec segment;
    read_segment(item, segment);
    return segment;
  });
  return task;
}

Napi::Value to_number(Napi::Env env, std::uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }
Napi::Value to_number(Napi::Env env, std::int64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

template <typename T, typename Convert>
Napi::Value to_array(Napi::Env env, const std::vector<T>& items, Convert convert) {
  const auto array = Napi::Array::New(env, items.size());
  for (std::uint32_t index = 0; index < items.size(); ++index) {
    // A large result would otherwise hold a handle per value until the outermost scope ends.
    const Napi::HandleScope scope(env);
    array.Set(index, convert(items[index]));
  }
  return array;
}

}  // namespace

ConnectionSpec read_connection(Napi::Value value) { return read_connection(Field(value, "connection")); }

TaskSpec read_task(Napi::Value value) {
  const Field field(value, "task");
  TaskSpec task;
  task.task_id = static_cast<std::int64_t>(field.at("taskId").size());
  const std::string kind = field.at("kind").text();
  if (kind == "copyOut") {
    task.body = read_copy_out(field);
  } else if (kind == "copyIn") {
    task.body = read_copy_in(field);
  } else if (kind == "check") {
    task.body = read_check(field);
  } else {
    throw Error(code::kUsage, "task.kind is none of copyOut, copyIn and check");
  }
  return task;
}

EngineOptions read_engine_options(Napi::Value value) {
  const Field field(value, "options");
  // The scheduler knows the limits.
  const auto count = [&](const char* name) { return static_cast<int>(field.at(name).integer(0, kMaxInt32)); };
  return {count("workerCount"), count("encoderCount"), count("blocksPerWorker"), field.at("maxBytesPerSecond").size()};
}

std::optional<std::vector<std::optional<std::string>>> read_params(Napi::Value value) {
  if (value.IsUndefined()) return std::nullopt;
  return read_all<std::optional<std::string>>(Field(value, "params"), [](const Field& item) { return item.text_or_null(); });
}

Napi::Value to_js(Napi::Env env, const TaskResult& result) {
  const auto object = Napi::Object::New(env);
  object.Set("taskId", to_number(env, result.task_id));
  object.Set("files", to_array(env, result.files, [&](const FileResult& file) {
               const auto js = Napi::Object::New(env);
               js.Set("path", file.path);
               js.Set("sizeBytes", to_number(env, file.size_bytes));
               js.Set("checksum", file.checksum);
               return js;
             }));
  object.Set("segments", to_array(env, result.segments, [&](const SegmentResult& segment) {
               const auto js = Napi::Object::New(env);
               js.Set("source", to_number(env, segment.source));
               js.Set("file", to_number(env, segment.file));
               js.Set("offset", to_number(env, segment.offset));
               js.Set("storedBytes", to_number(env, segment.stored_bytes));
               js.Set("rawBytes", to_number(env, segment.raw_bytes));
               js.Set("rowCount", to_number(env, segment.digest.rows));
               js.Set("digest", segment.digest.hex());
               return js;
             }));
  object.Set("findings", to_array(env, result.findings, [&](const Finding& finding) {
               const auto js = Napi::Object::New(env);
               js.Set("kind", finding.kind);
               js.Set("segment", finding.segment);
               js.Set("frame", to_number(env, finding.frame));
               js.Set("offset", to_number(env, finding.offset));
               js.Set("message", finding.message);
               return js;
             }));
  object.Set("rawBytes", to_number(env, result.raw_bytes));
  object.Set("storedBytes", to_number(env, result.stored_bytes));
  object.Set("rowCount", to_number(env, result.row_count));
  object.Set("elapsedMs", result.elapsed_ms);
  return object;
}

Napi::Value to_js(Napi::Env env, const EngineStats& stats) {
  const auto object = Napi::Object::New(env);
  object.Set("rawBytes", to_number(env, stats.raw_bytes));
  object.Set("storedBytes", to_number(env, stats.stored_bytes));
  object.Set("rowCount", to_number(env, stats.row_count));
  object.Set("workers", to_array(env, stats.workers, [&](const WorkerStats& worker) {
               const auto js = Napi::Object::New(env);
               js.Set("taskId", to_number(env, worker.task_id));
               js.Set("source", to_number(env, worker.source));
               js.Set("rawBytes", to_number(env, worker.raw_bytes));
               js.Set("rowCount", to_number(env, worker.row_count));
               return js;
             }));
  return object;
}

Napi::Value to_js(Napi::Env env, const QueryResult& result) {
  const auto object = Napi::Object::New(env);
  object.Set("columns", to_js(env, result.columns));
  object.Set("rows", to_array(env, result.rows, [&](const std::vector<std::optional<std::string>>& row) {
               return to_array(env, row, [&](const std::optional<std::string>& value) -> Napi::Value {
                 if (!value) return env.Null();
                 return Napi::String::New(env, *value);
               });
             }));
  object.Set("command", result.command);
  return object;
}

Napi::Value to_js(Napi::Env env, const SessionInfo& info) {
  const auto object = Napi::Object::New(env);
  object.Set("serverVersion", info.server_version);
  object.Set("backendPid", info.backend_pid);
  object.Set("host", info.host);
  object.Set("port", info.port);
  object.Set("user", info.user);
  object.Set("database", info.database);
  object.Set("clientEncoding", info.client_encoding);
  object.Set("isTls", info.is_tls);
  const auto options = Napi::Object::New(env);
  for (const auto& [keyword, value] : info.options) options.Set(keyword, value);
  object.Set("options", options);
  object.Set("hasPassword", info.password.has_value());
  return object;
}

Napi::Value to_js(Napi::Env env, const std::vector<std::string>& texts) {
  return to_array(env, texts, [&](const std::string& text) { return Napi::String::New(env, text); });
}

}  // namespace dbbackup
