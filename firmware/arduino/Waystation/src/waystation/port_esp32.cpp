#if defined(ESP32)

#include <LittleFS.h>
#include <Update.h>
#include <WiFi.h>
#include <esp_ota_ops.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <sys/time.h>

#include "Port.h"
#include "Text.h"

namespace waystation {
namespace port {

namespace {
constexpr time_t kSetAfter = 1700000000;  // a clock that shows less counts from the boot
}

uint64_t uptimeMs() { return static_cast<uint64_t>(esp_timer_get_time()) / 1000; }

bool wallClockMs(uint64_t& epochMs) {
  timeval now;
  if (gettimeofday(&now, nullptr) != 0 || now.tv_sec < kSetAfter) return false;
  epochMs = static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_usec) / 1000;
  return true;
}

void randomBytes(uint8_t* into, size_t size) { esp_fill_random(into, size); }
void reboot() { ESP.restart(); }
const char* platform() { return "esp32"; }

fs::FS& flash() { return LittleFS; }
bool mountFlash() { return LittleFS.begin(true); }
uint64_t freeFlashBytes() { return LittleFS.totalBytes() - LittleFS.usedBytes(); }

// The core's own patience for a connection is these three seconds.
Error connect(Client& client, const char* host, uint16_t port, uint32_t) {
  return client.connect(host, port) ? Error::None : Error::NoConnection;
}

bool isOnline() { return WiFi.isConnected(); }

void joinWifi(const char* name, const char* password) {
  WiFi.persistent(false);  // the core would write the flash at every join
  WiFi.setAutoReconnect(false);
  WiFi.mode(WIFI_STA);
  WiFi.begin(name, password[0] == 0 ? nullptr : password);
}

void leaveWifi() { WiFi.disconnect(); }

Error imageBegin(uint32_t size) { return Update.begin(size) ? Error::None : Error::FlashFull; }

Error imageWrite(const uint8_t* bytes, size_t size) {
  return Update.write(const_cast<uint8_t*>(bytes), size) == size ? Error::None : Error::Flash;
}

Error imageEnd() { return Update.end() ? Error::None : Error::Damaged; }
void imageAbort() { Update.abort(); }
void imageIsGood() { esp_ota_mark_app_valid_cancel_rollback(); }

// Two partitions take turns, so its name tells which image runs.
void runningImage(char* into, size_t room) {
  const esp_partition_t* running = esp_ota_get_running_partition();
  copy(into, room, running == nullptr ? "" : running->label);
}

}  // namespace port
}  // namespace waystation

#endif
