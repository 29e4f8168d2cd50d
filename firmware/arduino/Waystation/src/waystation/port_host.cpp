#if !defined(ESP32) && !defined(ESP8266)

#include "port_host.h"

#include <LittleFS.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "Flash.h"
#include "Port.h"
#include "Text.h"

namespace waystation {
namespace port {

Host host;

namespace {

const char kImage[] = "/image.new";
uint32_t imageLeft = 0;

uint64_t milliseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

const uint64_t startedAtMs = milliseconds(CLOCK_MONOTONIC);

}  // namespace

uint64_t uptimeMs() { return milliseconds(CLOCK_MONOTONIC) - startedAtMs + host.aheadMs; }

bool wallClockMs(uint64_t& epochMs) {
  epochMs = milliseconds(CLOCK_REALTIME) + host.aheadMs;
  return host.knowsTime;
}

void randomBytes(uint8_t* into, size_t size) {
  if (getentropy(into, size) != 0) memset(into, 0, size);
}

void reboot() { host.hasRebooted = true; }
const char* platform() { return "host"; }

fs::FS& flash() { return LittleFS; }
bool mountFlash() { return LittleFS.begin(true); }
uint64_t freeFlashBytes() { return LittleFS.roomBytes >= 0 ? static_cast<uint64_t>(LittleFS.roomBytes) : 1ULL << 30; }

// How long it waits is the client's business here: it may be a double of a test.
Error connect(Client& client, const char* name, uint16_t port, uint32_t) {
  return client.connect(name, port) ? Error::None : Error::NoConnection;
}

bool isOnline() { return host.isOnline; }
void joinWifi(const char*, const char*) { ++host.joins; }
void leaveWifi() { host.isOnline = false; }

Error imageBegin(uint32_t size) {
  imageLeft = size;
  return flash::write(kImage, nullptr, 0, nullptr, 0);
}

Error imageWrite(const uint8_t* bytes, size_t size) {
  if (size > imageLeft) return Error::TooLarge;
  imageLeft -= static_cast<uint32_t>(size);
  return flash::append(kImage, bytes, size);
}

Error imageEnd() { return imageLeft == 0 ? flash::rename(kImage, "/image.bin") : Error::Damaged; }
void imageAbort() { flash::remove(kImage); }
void imageIsGood() {}
void runningImage(char* into, size_t room) { copy(into, room, host.image); }

}  // namespace port
}  // namespace waystation

#endif
