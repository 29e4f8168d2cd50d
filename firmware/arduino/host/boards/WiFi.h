#pragma once

#include <Client.h>

enum WiFiMode { WIFI_STA };

class WiFiClass {
 public:
  bool isConnected();
  void persistent(bool yes);
  bool setAutoReconnect(bool yes);
  bool mode(WiFiMode mode);
  int begin(const char* name, const char* password);
  bool disconnect(bool off = false);
};
extern WiFiClass WiFi;
