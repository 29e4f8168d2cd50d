#if defined(ESP8266)

#include <ESP8266WiFi.h>
#include <LittleFS.h>
#include <Updater.h>
#include <sys/time.h>

#include "Port.h"
#include "Text.h"

namespace waystation {
namespace port {

namespace {
constexpr time_t kSetAfter = 1700000000;  // a clock that shows less counts from the boot
}

uint64_t uptimeMs() { return micros64() / 1000; }

bool wallClockMs(uint64_t& epochMs) {
  timeval now;
  if (gettimeofday(&now, nullptr) != 0 || now.tv_sec < kSetAfter) return false;
  epochMs = static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_usec) / 1000;
  return true;
}

void randomBytes(uint8_t* into, size_t size) { ESP.random(into, size); }
void reboot() { ESP.restart(); }
const char* platform() { return "esp8266"; }

fs::FS& flash() { return LittleFS; }
bool mountFlash() { return LittleFS.begin(); }

uint64_t freeFlashBytes() {
  FSInfo found;
  return LittleFS.info(found) ? found.totalBytes - found.usedBytes : 0;
}

// The core takes the client's timeout for the name, for the connection, and for a write.
Error connect(Client& client, const char* host, uint16_t port, uint32_t patienceMs) {
  client.setTimeout(patienceMs);
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
void imageAbort() { Update.end(); }  // not finished, so it is given up
void imageIsGood() {}                // the boot loader has copied it over the old one: there is no way back
void runningImage(char* into, size_t room) { copy(into, room, ESP.getSketchMD5().c_str()); }

}  // namespace port
}  // namespace waystation

#endif
