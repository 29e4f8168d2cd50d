// Log lines, for people. `messages.warning("sensor %d does not answer", 3)` is on the hub's page with the time it was
// said; it goes the way that readings go (Outbox.h), and survives what they survive. What is too long is cut off.
#pragma once

#include "Outbox.h"

namespace waystation {

enum class Severity : uint8_t { Debug, Info, Warning, Error, Critical };

class MessagesBase : public Outbox {
 public:
  static constexpr size_t kLineRoom = 256;  // for a formatted line

  Error write(Severity severity, const char* content, const char* type = "log");
  Error debug(const char* format, ...) __attribute__((format(printf, 2, 3)));
  Error info(const char* format, ...) __attribute__((format(printf, 2, 3)));
  Error warning(const char* format, ...) __attribute__((format(printf, 2, 3)));
  Error error(const char* format, ...) __attribute__((format(printf, 2, 3)));

 protected:
  MessagesBase(Node& node, SpoolSize size, uint8_t* queue, size_t room);
};

template <size_t kQueueBytes>
class MessagesWith : public MessagesBase {
 public:
  explicit MessagesWith(Node& node, SpoolSize size = SpoolSize{4096, 8}) : MessagesBase(node, size, queue_, kQueueBytes) {}

 private:
  uint8_t queue_[kQueueBytes];
};

using Messages = MessagesWith<1024>;

}  // namespace waystation
