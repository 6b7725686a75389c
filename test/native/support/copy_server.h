#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "support/copy_data.h"
#include "support/scripted_server.h"
#include "support/wire_messages.h"

namespace dbbackup::test {

/// The messages of a complete COPY TO STDOUT, as servers send them: a binary header stands in one message with the first row.
inline Bytes copy_out_messages(const CopyData& data) {
  Bytes all = wire::copy_out_response(data.format);
  Bytes payload;
  if (data.format == RowFormat::kBinary) append(payload, binary_header());
  for (const Bytes& row : data.rows) {
    append(payload, row);
    append(all, wire::copy_data(payload));
    payload.clear();
  }
  if (data.format == RowFormat::kBinary) {
    append(payload, binary_trailer());
    append(all, wire::copy_data(payload));
  }
  append(all, joined({wire::copy_done(), wire::command_complete("COPY " + std::to_string(data.rows.size())), wire::ready_for_query('T')}));
  return all;
}

/// A scripted server that answers statements by a table and takes rows.
class CopyServer {
 public:
  /// What a statement is answered with; a statement that is not listed succeeds without rows. May talk to the client itself and return
  /// nothing.
  using Answer = std::function<Bytes(ScriptedClient&)>;

  explicit CopyServer(std::map<std::string, Answer> answers)
      : answers_(std::move(answers)), server_([this](ScriptedClient& client) { serve(client); }) {}

  ConnectionSpec connection() const { return server_.connection(); }
  int cancel_requests() const noexcept { return server_.cancel_requests(); }
  int clients() const {
    const std::lock_guard lock(mutex_);
    return clients_;
  }
  /// In the order in which they arrived.
  std::vector<std::string> statements() const {
    const std::lock_guard lock(mutex_);
    return statements_;
  }
  /// Rows sent to COPY FROM STDIN, one element per COPY that was ended.
  std::vector<Bytes> received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }

  static Answer rows(CopyData data) {
    return [data = std::move(data)](ScriptedClient&) { return copy_out_messages(data); };
  }
  static Answer fails(std::string sqlstate, std::string text) {
    return [=](ScriptedClient&) { return joined({wire::error_response(sqlstate, text), wire::ready_for_query('E')}); };
  }
  /// One row of one text column.
  static Answer value(std::string text) {
    return [=](ScriptedClient&) {
      Bytes field;
      append_be16(field, 1);
      append_be32(field, static_cast<std::uint32_t>(text.size()));
      append(field, bytes_of(text));
      return joined({wire::message('T', bytes_of({"\0\1?\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 22})),
                     wire::message('D', field), wire::command_complete("SELECT 1"), wire::ready_for_query('T')});
    };
  }
  /// Takes the rows of a COPY FROM STDIN and says that it stored `stored_rows`.
  Answer takes(RowFormat format, std::uint64_t stored_rows) {
    return [=, this](ScriptedClient& client) {
      client.send(wire::copy_in_response(format));
      Bytes taken;
      for (;;) {
        const auto [type, body] = client.receive();
        if (type == 'c') break;
        if (type != 'd') throw ClientGone();
        append(taken, body);
      }
      const std::lock_guard lock(mutex_);
      received_.push_back(std::move(taken));
      return joined({wire::command_complete("COPY " + std::to_string(stored_rows)), wire::ready_for_query('T')});
    };
  }
  void set(const std::string& statement, Answer answer) {
    const std::lock_guard lock(mutex_);
    answers_[statement] = std::move(answer);
  }

 private:
  void serve(ScriptedClient& client) {
    {
      const std::lock_guard lock(mutex_);
      ++clients_;
    }
    for (;;) {
      const std::string statement = client.expect_query();
      Answer answer = [](ScriptedClient&) { return joined({wire::command_complete("DONE"), wire::ready_for_query('T')}); };
      {
        const std::lock_guard lock(mutex_);
        statements_.push_back(statement);
        if (const auto found = answers_.find(statement); found != answers_.end()) answer = found->second;
      }
      if (const Bytes messages = answer(client); !messages.empty()) client.send(messages);
    }
  }

  std::map<std::string, Answer> answers_;
  mutable std::mutex mutex_;
  int clients_ = 0;
  std::vector<std::string> statements_;
  std::vector<Bytes> received_;
  ScriptedServer server_;
};

}  // namespace dbbackup::test
