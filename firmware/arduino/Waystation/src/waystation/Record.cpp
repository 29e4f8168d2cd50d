#include "Record.h"

#include "Sha256.h"
#include "Text.h"

namespace waystation {

namespace {
constexpr uint32_t kMagic = 0x31525357;  // "WSR1"
constexpr size_t kPathRoom = 32;
}  // namespace

struct Record::Head {
  uint32_t magic;
  uint32_t number;
  uint32_t size;
  uint32_t crc;  // of number, size and what follows

  uint32_t sum(const void* bytes) const {
    return crc32(bytes, size, crc32(&size, sizeof size, crc32(&number, sizeof number)));
  }
};

void Record::path(int slot, char* into) const {
  Writer writer(into, kPathRoom);
  writer.add("/ws/").add(name_).add(slot == 0 ? ".0" : ".1");
}

bool Record::readHead(int slot, Head& head) const {
  char at[kPathRoom];
  path(slot, at);
  size_t got = 0;
  return isOk(flash::read(at, 0, &head, sizeof head, got)) && got == sizeof head && head.magic == kMagic && head.number > 0;
}

// Checks piece by piece before a byte of the caller's is touched.
bool Record::readSlot(int slot, const Head& head, void* into, size_t size) const {
  char at[kPathRoom];
  path(slot, at);
  uint32_t crc = crc32(&head.size, sizeof head.size, crc32(&head.number, sizeof head.number));
  uint8_t piece[64];
  uint32_t seen = 0;
  while (seen < head.size) {
    const size_t left = head.size - seen;
    size_t got = 0;
    const size_t wanted = left < sizeof piece ? left : sizeof piece;
    if (!isOk(flash::read(at, static_cast<uint32_t>(sizeof head) + seen, piece, wanted, got)) || got != wanted) return false;
    crc = crc32(piece, got, crc);
    seen += static_cast<uint32_t>(got);
  }
  if (crc != head.crc) return false;
  memset(into, 0, size);
  size_t got = 0;
  return isOk(flash::read(at, sizeof head, into, head.size < size ? head.size : size, got));
}

Error Record::read(void* into, size_t size) {
  Head heads[2];
  bool there[2];
  for (int slot = 0; slot < 2; ++slot) there[slot] = readHead(slot, heads[slot]);
  const int newer = there[1] && (!there[0] || heads[1].number > heads[0].number) ? 1 : 0;
  for (int tried = 0; tried < 2; ++tried) {
    const int slot = tried == 0 ? newer : 1 - newer;
    if (!there[slot] || !readSlot(slot, heads[slot], into, size)) continue;
    number_ = heads[slot].number;
    newest_ = slot;
    return Error::None;
  }
  return Error::NotFound;
}

Error Record::write(const void* from, size_t size) {
  if (number_ == 0) {
    uint8_t nothing = 0;
    read(&nothing, 0);
  }
  Head head{kMagic, number_ + 1, static_cast<uint32_t>(size), 0};
  head.crc = head.sum(from);
  char at[kPathRoom];
  path(1 - newest_, at);
  const Error error = flash::write(at, &head, sizeof head, from, size);
  if (!isOk(error)) return error;
  ++number_;
  newest_ = 1 - newest_;
  return Error::None;
}

void Record::erase() {
  char at[kPathRoom];
  for (int slot = 0; slot < 2; ++slot) {
    path(slot, at);
    flash::remove(at);
  }
  number_ = 0;
}

}  // namespace waystation
