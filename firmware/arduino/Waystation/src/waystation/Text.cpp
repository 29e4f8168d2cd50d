#include "Text.h"

namespace waystation {

namespace {
const char kDigits[] = "0123456789abcdef";
}

Writer& Writer::add(const char* bytes, size_t size) {
  if (size > room()) {
    size = room();
    isCut_ = true;
  }
  memcpy(place_ + size_, bytes, size);
  size_ += size;
  place_[size_] = 0;
  return *this;
}

Writer& Writer::addUnsigned(uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = static_cast<char>('0' + static_cast<char>(number % 10));
    number /= 10;
  } while (number != 0);
  return add(digits + at, sizeof digits - at);
}

Writer& Writer::addSigned(int64_t number) {
  if (number >= 0) return addUnsigned(static_cast<uint64_t>(number));
  return add('-').addUnsigned(~static_cast<uint64_t>(number) + 1);
}

Writer& Writer::addHex(uint32_t number) {
  char digits[8];
  for (size_t i = 8; i-- > 0; number >>= 4) digits[i] = kDigits[number & 15];
  return add(digits, sizeof digits);
}

Writer& Writer::addEscaped(const char* words) {
  for (; *words; ++words) {
    const char letter = *words;
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || strchr("-_.~", letter) != nullptr;
    if (plain) {
      add(letter);
    } else {
      const auto byte = static_cast<uint8_t>(letter);
      const char escaped[3] = {'%', kDigits[byte >> 4], kDigits[byte & 15]};
      add(escaped, sizeof escaped);
    }
  }
  return *this;
}

void Writer::cutTo(size_t size) {
  size_ = size;
  place_[size_] = 0;
  isCut_ = false;
}

bool copy(char* into, size_t room, const char* words) {
  const size_t size = strlen(words);
  const size_t kept = size < room ? size : room - 1;
  memcpy(into, words, kept);
  into[kept] = 0;
  return kept == size;
}

void hexOf(const uint8_t* bytes, size_t size, char* into) {
  for (size_t i = 0; i < size; ++i) {
    into[2 * i] = kDigits[bytes[i] >> 4];
    into[2 * i + 1] = kDigits[bytes[i] & 15];
  }
  into[2 * size] = 0;
}

}  // namespace waystation
