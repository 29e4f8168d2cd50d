#pragma once

#include <Arduino.h>

class UpdateClass {
 public:
  bool begin(size_t size);
  size_t write(uint8_t* bytes, size_t size);
  bool end(bool evenIfRemaining = false);
  void abort();  // ESP32 only
};
extern UpdateClass Update;
