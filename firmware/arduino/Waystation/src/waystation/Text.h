// Text in a place of fixed size. What does not fit is cut off, and `isCut` says so.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace waystation {

class Writer {
 public:
  Writer(char* place, size_t room) : place_(place), room_(room) { clear(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Writer& add(const char* words) { return add(words, strlen(words)); }
  Writer& add(const char* bytes, size_t size);
  Writer& add(char letter) { return add(&letter, 1); }
  Writer& add(unsigned number) { return addUnsigned(number); }
  Writer& add(unsigned long number) { return addUnsigned(number); }
  Writer& add(unsigned long long number) { return addUnsigned(number); }
  Writer& add(int number) { return addSigned(number); }
  Writer& add(long number) { return addSigned(number); }
  Writer& add(long long number) { return addSigned(number); }
  Writer& addHex(uint32_t number);  // eight digits
  // What an URL's query may hold; everything else as %XX.
  Writer& addEscaped(const char* words);

  void clear() { cutTo(0); }
  // Takes back what was written after the first `size` bytes, and that it was cut.
  void cutTo(size_t size);

  const char* text() const { return place_; }
  size_t size() const { return size_; }
  size_t room() const { return room_ - 1 - size_; }
  bool isCut() const { return isCut_; }
  bool isEmpty() const { return size_ == 0; }

 private:
  Writer& addUnsigned(uint64_t number);
  Writer& addSigned(int64_t number);

  char* place_;
  size_t room_;
  size_t size_ = 0;
  bool isCut_ = false;
};

template <size_t kRoom>
class Text : public Writer {
 public:
  Text() : Writer(letters_, kRoom) {}
  explicit Text(const char* words) : Writer(letters_, kRoom) { add(words); }
  Text(const Text&) = delete;
  Text& operator=(const char* words) {
    clear();
    add(words);
    return *this;
  }

 private:
  char letters_[kRoom];
};

inline bool same(const char* a, const char* b) { return strcmp(a, b) == 0; }

// Copies with a zero at the end; false when it had to be cut.
bool copy(char* into, size_t room, const char* words);

// Lower-case hexadecimal of `size` bytes; `into` has room for twice as many and a zero.
void hexOf(const uint8_t* bytes, size_t size, char* into);

}  // namespace waystation
