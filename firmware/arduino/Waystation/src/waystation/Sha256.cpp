#include "Sha256.h"

#include <string.h>

#include "Text.h"

namespace waystation {

namespace {

const uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

const uint32_t kStart[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

const uint32_t kCrc[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                           0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

uint32_t turned(uint32_t word, unsigned by) { return (word >> by) | (word << (32 - by)); }

uint32_t bigEndian(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 | static_cast<uint32_t>(at[2]) << 8 |
         at[3];
}

}  // namespace

void Sha256::begin() {
  memcpy(state_, kStart, sizeof state_);
  total_ = 0;
}

void Sha256::add(const char* words) { add(words, strlen(words)); }

void Sha256::add(const void* bytes, size_t size) {
  const auto* from = static_cast<const uint8_t*>(bytes);
  while (size > 0) {
    const size_t held = total_ % sizeof pending_;
    const size_t space = sizeof pending_ - held;
    const size_t part = size < space ? size : space;
    memcpy(pending_ + held, from, part);
    total_ += part;
    from += part;
    size -= part;
    if (part == space) block();
  }
}

void Sha256::block() {
  uint32_t w[16];  // of the 64 words only the last 16 are needed at any time
  for (size_t i = 0; i < 16; ++i) w[i] = bigEndian(pending_ + 4 * i);
  uint32_t s[8];
  memcpy(s, state_, sizeof s);
  for (size_t i = 0; i < 64; ++i) {
    if (i >= 16) {
      const uint32_t a = w[(i + 1) & 15];
      const uint32_t b = w[(i + 14) & 15];
      w[i & 15] += (turned(a, 7) ^ turned(a, 18) ^ (a >> 3)) + w[(i + 9) & 15] +
                   (turned(b, 17) ^ turned(b, 19) ^ (b >> 10));
    }
    const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    const uint32_t one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) + choice + kRound[i] + w[i & 15];
    const uint32_t two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) + majority;
    memmove(s + 1, s, 7 * sizeof s[0]);
    s[4] += one;
    s[0] = one + two;
  }
  for (size_t i = 0; i < 8; ++i) state_[i] += s[i];
}

void Sha256::hex(char* into) {
  const uint64_t bits = total_ * 8;
  const uint8_t one = 0x80;
  const uint8_t none = 0;
  add(&one, 1);
  while (total_ % sizeof pending_ != 56) add(&none, 1);
  uint8_t length[8];
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
  add(length, sizeof length);
  uint8_t digest[kBytes];
  for (size_t i = 0; i < kBytes; ++i) digest[i] = static_cast<uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  hexOf(digest, sizeof digest, into);
}

uint32_t crc32(const void* bytes, size_t size, uint32_t before) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  uint32_t crc = ~before;
  for (size_t i = 0; i < size; ++i) {
    crc = kCrc[(crc ^ at[i]) & 15] ^ (crc >> 4);
    crc = kCrc[(crc ^ static_cast<uint32_t>(at[i] >> 4)) & 15] ^ (crc >> 4);
  }
  return ~crc;
}

}  // namespace waystation
