// Readings. `telemetry.add("temperature_c", 21.5f)` and it will be at the hub, with the time it was taken, whatever
// happens to the network, the hub and, a few seconds later, the power. See Outbox.h for how.
//
//   waystation::Reading reading;                 // several values of one time
//   reading.add("temperature_c", 21.5f).add("humidity", 40);
//   telemetry.add(reading);
#pragma once

#include "Json.h"
#include "Outbox.h"

namespace waystation {

class Reading {
 public:
  template <typename Value>
  Reading& add(const char* metric, Value value) {
    json_.member(metric, value);
    return *this;
  }
  bool isCut() const { return text_.isCut(); }
  const char* json() const { return text_.text(); }
  size_t size() const { return text_.size(); }

 private:
  Text<400> text_;
  JsonWriter json_{text_};
};

class TelemetryBase : public Outbox {
 public:
  Error add(const Reading& reading);
  template <typename Value>
  Error add(const char* metric, Value value) {
    Reading reading;
    reading.add(metric, value);
    return add(reading);
  }

 protected:
  TelemetryBase(Node& node, SpoolSize size, uint8_t* queue, size_t room);
};

template <size_t kQueueBytes>
class TelemetryWith : public TelemetryBase {
 public:
  explicit TelemetryWith(Node& node, SpoolSize size = SpoolSize{4096, 32}) : TelemetryBase(node, size, queue_, kQueueBytes) {}

 private:
  uint8_t queue_[kQueueBytes];
};

using Telemetry = TelemetryWith<1024>;

}  // namespace waystation
