// What the library uses of the ESP8266 and ESP32 cores, as declarations: enough to compile it as they would, with the
// macros of theirs that a careless name falls into. Nothing here is ever linked.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HIGH 1
#define LOW 0
#define DEFAULT 1
#define EXTERNAL 0
#define F(words) words
#define word(...) makeWord(__VA_ARGS__)
#define bit(number) (1UL << (number))
#define sq(number) ((number) * (number))
#define degrees(angle) ((angle) * 57)
#define lowByte(number) ((uint8_t)((number) & 0xff))

using byte = uint8_t;
using boolean = bool;

unsigned long millis();
uint64_t micros64();
void yield();
inline boolean isSpace(int letter) { return letter == ' '; }
inline boolean isDigit(int letter) { return letter >= '0' && letter <= '9'; }

class String {
 public:
  const char* c_str() const;
};

class EspClass {
 public:
  void restart();
  uint8_t* random(uint8_t* into, size_t size) const;
  String getSketchMD5();
};
extern EspClass ESP;
