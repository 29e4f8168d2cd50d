#include "Wifi.h"

namespace waystation {

void Wifi::begin(const char* name, const char* password, IsOnline online) {
  if (online != nullptr) isOnline_ = online;
  name_ = name;
  password_ = password;
}

bool Wifi::loop() {
  const uint64_t now = port::uptimeMs();
  if (isOnline_()) {
    isJoining_ = false;
    pace_.succeeded();
    if (name_[0] == 0 || now - reachedAtMs_ < kDeadMs) return true;
    port::leaveWifi();
    reachedAtMs_ = now;
  }
  if (name_[0] == 0) return false;
  if (isJoining_ && now - joiningSinceMs_ >= kJoinMs) {
    isJoining_ = false;
    port::leaveWifi();
    pace_.failed();
  }
  if (!isJoining_ && pace_.isDue()) {
    isJoining_ = true;
    joiningSinceMs_ = reachedAtMs_ = now;
    port::joinWifi(name_, password_);
  }
  return false;
}

void Wifi::hubIsReached() {
  reachedAtMs_ = port::uptimeMs();
}

}  // namespace waystation
