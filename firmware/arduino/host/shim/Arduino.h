// The part of the Arduino core that the library uses, on a PC. Ours, and only as large as it must be.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

unsigned long millis();
void delay(unsigned long ms);
void yield();

constexpr int OUTPUT = 1;
constexpr int HIGH = 1;
constexpr int LOW = 0;
void pinMode(int pin, int mode);
void digitalWrite(int pin, int level);

class HostSerial {
 public:
  void begin(unsigned long) {}
  int printf(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void println(const char* words);
};

extern HostSerial Serial;
