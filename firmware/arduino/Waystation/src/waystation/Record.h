// A small piece of memory that survives power cuts: two slots, each with a number and a checksum. The older one is
// overwritten, so at any moment one of them is whole. A write costs one small file.
#pragma once

#include "Flash.h"

namespace waystation {

class Record {
 public:
  // `name` becomes /ws/<name>.0 and .1, and must outlive this.
  explicit constexpr Record(const char* name) : name_(name) {}

  // Error::NotFound when nothing whole was ever written; then `into` is left alone. What an older version of the sketch
  // wrote shorter is filled up with zeros.
  Error read(void* into, size_t size);
  Error write(const void* from, size_t size);
  void erase();

 private:
  struct Head;
  bool readHead(int slot, Head& head) const;
  bool readSlot(int slot, const Head& head, void* into, size_t size) const;
  void path(int slot, char* into) const;

  const char* name_;
  uint32_t number_ = 0;  // of the newest; 0: not looked yet
  int newest_ = 0;
};

}  // namespace waystation
