#include "Telemetry.h"

namespace waystation {

namespace {
const OutboxManner kManner = {"readings", "/api/readings", "\"values\":{", "}", true};
}

TelemetryBase::TelemetryBase(Node& node, SpoolSize size, uint8_t* queue, size_t room)
    : Outbox(node, kManner, size, queue, room) {}

Error TelemetryBase::add(const Reading& reading) {
  if (reading.isCut()) return Error::TooLarge;
  if (reading.size() == 0) return Error::BadInput;
  return put(reading.json(), reading.size());
}

}  // namespace waystation
