// What a test may decide of the PC that plays a board.
#pragma once

#include <stdint.h>

namespace waystation {
namespace port {

struct Host {
  bool knowsTime = true;       // the system's clock is set
  bool isOnline = true;        // there is a network
  bool hasRebooted = false;    // instead of a reboot, which would end the test
  uint64_t aheadMs = 0;        // added to the uptime: time passes as a test wants it
  int joins = 0;               // how often Wi-Fi was asked to join
  const char* image = "host";  // the image that runs
};

extern Host host;

}  // namespace port
}  // namespace waystation
