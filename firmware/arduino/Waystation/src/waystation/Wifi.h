// Joins the network again whenever it is gone: at once, then ever more seldom, at most once a minute. A network that is
// there but leads nowhere is left and joined anew after five minutes without the hub, because some access points need it.
#pragma once

#include "Port.h"
#include "Service.h"

namespace waystation {

class Wifi {
 public:
  using IsOnline = bool (*)();

  // Without a name the sketch sees to the network. `isOnline` tells whether there is one where it is not Wi-Fi.
  void begin(const char* name, const char* password, IsOnline online);
  bool loop();  // true while there is a network
  bool isOnline() const { return isOnline_(); }
  void hubIsReached();

 private:
  static constexpr uint32_t kJoinMs = 15000;  // for one attempt
  static constexpr uint32_t kDeadMs = 300000;

  IsOnline isOnline_ = port::isOnline;
  const char* name_ = "";
  const char* password_ = "";
  uint64_t joiningSinceMs_ = 0;
  uint64_t reachedAtMs_ = 0;
  bool isJoining_ = false;
  Pace pace_{1000, 60000};
};

}  // namespace waystation
