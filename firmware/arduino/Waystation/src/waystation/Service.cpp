#include "Service.h"

#include "Node.h"

namespace waystation {

Service::Service(Node& node, Line* line) : node_(node), line_(line) { node.join(*this); }

bool Pace::isDue() const { return port::uptimeMs() >= dueAtMs_; }

void Pace::failed(uint32_t atLeastMs) {
  uint32_t delay = leastMs_;
  for (uint8_t i = 0; i < failures_ && delay < mostMs_; ++i) delay *= 2;
  if (delay > mostMs_) delay = mostMs_;
  if (failures_ < 31) ++failures_;
  uint32_t chance = 0;
  port::randomBytes(reinterpret_cast<uint8_t*>(&chance), sizeof chance);
  delay = delay / 2 + chance % (delay / 2 + 1);  // between half of it and all of it
  wait(delay > atLeastMs ? delay : atLeastMs);
}

void Pace::wait(uint32_t ms) { dueAtMs_ = port::uptimeMs() + ms; }

void Pace::succeeded() {
  failures_ = 0;
  dueAtMs_ = 0;
}

}  // namespace waystation
