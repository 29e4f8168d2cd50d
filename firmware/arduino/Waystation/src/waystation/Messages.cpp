#include "Messages.h"

#include <stdarg.h>
#include <stdio.h>

#include "Json.h"

namespace waystation {

namespace {

const OutboxManner kManner = {"messages", "/api/messages", "", "", true};

const char* wordFor(Severity severity) {
  switch (severity) {
    case Severity::Debug: return "debug";
    case Severity::Info: return "info";
    case Severity::Warning: return "warning";
    case Severity::Error: return "error";
    case Severity::Critical: break;
  }
  return "critical";
}

}  // namespace

MessagesBase::MessagesBase(Node& node, SpoolSize size, uint8_t* queue, size_t room)
    : Outbox(node, kManner, size, queue, room) {}

// Escapes make it longer than it looks, so it is shortened until it fits.
Error MessagesBase::write(Severity severity, const char* content, const char* type) {
  Text<kRecordBytes - kStampBytes> text;
  for (size_t size = strlen(content); ; size -= size / 8 + 1) {
    text.clear();
    JsonWriter json(text);
    json.member("severity", wordFor(severity)).member("type", type).key("content").value(content, size);
    if (!text.isCut()) {
      const Error error = put(text.text(), text.size());
      if (error != Error::TooLarge) return error;
    }
    if (size == 0) return Error::TooLarge;
  }
}

#define WAYSTATION_WRITE_FORMATTED(severity)        \
  char line[kLineRoom];                             \
  va_list arguments;                                \
  va_start(arguments, format);                      \
  vsnprintf(line, sizeof line, format, arguments);  \
  va_end(arguments);                                \
  return write(severity, line)

Error MessagesBase::debug(const char* format, ...) { WAYSTATION_WRITE_FORMATTED(Severity::Debug); }
Error MessagesBase::info(const char* format, ...) { WAYSTATION_WRITE_FORMATTED(Severity::Info); }
Error MessagesBase::warning(const char* format, ...) { WAYSTATION_WRITE_FORMATTED(Severity::Warning); }
Error MessagesBase::error(const char* format, ...) { WAYSTATION_WRITE_FORMATTED(Severity::Error); }

#undef WAYSTATION_WRITE_FORMATTED

}  // namespace waystation
