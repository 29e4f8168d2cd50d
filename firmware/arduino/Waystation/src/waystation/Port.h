// Everything that differs between boards. One file per platform implements it: port_esp32.cpp, port_esp8266.cpp, and
// port_host.cpp for a PC, where the library is tested.
#pragma once

#include <Arduino.h>
#include <Client.h>
#include <FS.h>

#include "Error.h"

namespace waystation {
namespace port {

uint64_t uptimeMs();                   // since boot; never wraps, never steps
bool wallClockMs(uint64_t& epochMs);   // the system's, when somebody (NTP, a clock chip) has set it
void randomBytes(uint8_t* into, size_t size);
void reboot();                         // does not return on a board
const char* platform();

fs::FS& flash();
bool mountFlash();  // formats it when there is no file system yet
uint64_t freeFlashBytes();

// TCP (or TLS, if the client is one that does). Blocks at most so long, but for the name's resolution on some cores.
Error connect(Client& client, const char* host, uint16_t port, uint32_t patienceMs);

bool isOnline();  // Wi-Fi is joined and has an address
void joinWifi(const char* name, const char* password);
void leaveWifi();

// A firmware image is written beside the one that runs, and started by the next reboot.
Error imageBegin(uint32_t size);
Error imageWrite(const uint8_t* bytes, size_t size);
Error imageEnd();
void imageAbort();
void imageIsGood();  // no roll-back any more
void runningImage(char* into, size_t room);  // a word that differs between images

}  // namespace port
}  // namespace waystation
