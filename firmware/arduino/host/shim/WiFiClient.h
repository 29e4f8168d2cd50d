// A TCP client over POSIX sockets that never waits, but for a connection to open.
#pragma once

#include <Client.h>

class WiFiClient : public Client {
 public:
  ~WiFiClient() override { stop(); }
  int connect(const char* host, uint16_t port) override { return connect(host, port, 3000); }
  int connect(const char* host, uint16_t port, int32_t timeoutMs);
  size_t write(const uint8_t* bytes, size_t size) override;
  int available() override;
  int read(uint8_t* into, size_t room) override;
  void stop() override;
  uint8_t connected() override;

 private:
  int socket_ = -1;
};
