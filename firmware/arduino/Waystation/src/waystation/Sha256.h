// SHA-256 (FIPS 180-4), byte by byte as they come. Small rather than fast: about 3 KB of code, 112 bytes of memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace waystation {

class Sha256 {
 public:
  static constexpr size_t kBytes = 32;
  static constexpr size_t kHexRoom = 65;  // with the zero at the end

  Sha256() { begin(); }
  void begin();
  void add(const void* bytes, size_t size);
  void add(const char* words);
  // Lower-case hexadecimal. Ends the sum: begin() before the next one.
  void hex(char* into);

 private:
  void block();

  uint32_t state_[8];
  uint64_t total_;
  uint8_t pending_[64];
};

// CRC-32 (IEEE 802.3) of more bytes, going on from `before`.
uint32_t crc32(const void* bytes, size_t size, uint32_t before = 0);

}  // namespace waystation
