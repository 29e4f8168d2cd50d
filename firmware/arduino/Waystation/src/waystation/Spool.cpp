#include "Spool.h"

#include "Sha256.h"
#include "Text.h"

namespace waystation {

namespace {

constexpr uint8_t kMark = 0xA7;
constexpr size_t kPathRoom = 40;

// mark, size (2), checksum of size and record (4); all little-endian
uint32_t sumOf(const uint8_t* head, const uint8_t* record, size_t size) { return crc32(record, size, crc32(head + 1, 2)); }
size_t sizeIn(const uint8_t* head) { return static_cast<size_t>(head[1] | head[2] << 8); }
uint32_t sumIn(const uint8_t* head) {
  return static_cast<uint32_t>(head[3]) | static_cast<uint32_t>(head[4]) << 8 | static_cast<uint32_t>(head[5]) << 16 |
         static_cast<uint32_t>(head[6]) << 24;
}

bool segmentOf(const char* name, uint32_t& segment) {
  segment = 0;
  size_t digits = 0;
  for (; name[digits]; ++digits) {
    const char* found = strchr("0123456789abcdef", name[digits]);
    if (found == nullptr || digits == 8) return false;
    segment = segment << 4 | static_cast<uint32_t>(found - "0123456789abcdef");
  }
  return digits == 8;
}

}  // namespace

struct Spool::Found {
  uint32_t first = 0;
  uint32_t last = 0;

  static void note(void* context, const char* name, uint32_t, bool) {
    auto* found = static_cast<Found*>(context);
    uint32_t segment = 0;
    if (!segmentOf(name, segment) || segment == 0) return;
    if (found->first == 0 || segment < found->first) found->first = segment;
    if (segment > found->last) found->last = segment;
  }
};

Spool::Spool(const char* name, SpoolSize size) : name_(name), limit_(size), record_(name) {
  if (limit_.segments < 2) limit_.segments = 2;  // one is written to while another is dropped
}

void Spool::path(uint32_t segment, char* into) const {
  Writer writer(into, kPathRoom);
  writer.add("/ws/").add(name_);
  if (segment != 0) writer.add('/').addHex(segment);
}

Error Spool::begin(uint8_t* buffer, size_t room, Seen seen, void* context) {
  char folder[kPathRoom];
  path(0, folder);
  const Error error = flash::makeFolder(folder);
  if (!isOk(error)) return error;
  record_.read(&kept_, sizeof kept_);
  Found found;
  flash::list(folder, Found::note, &found);
  first_ = found.first != 0 ? found.first : kept_.oldest.segment;
  last_ = found.last > kept_.oldest.segment ? found.last : kept_.oldest.segment;
  if (first_ > kept_.oldest.segment) kept_.oldest = Place{first_, 0, kept_.oldest.number};
  removeBefore(kept_.oldest.segment);
  scan(buffer, room, seen, context);
  return Error::None;
}

// Counts what is there. A segment of which only the beginning is whole counts as far as that.
void Spool::scan(uint8_t* buffer, size_t room, Seen seen, void* context) {
  Place place = kept_.oldest;
  size_t size = 0;
  while (read(place, buffer, room, size)) {
    if (seen != nullptr) seen(context, buffer, size);
  }
  next_ = place.number;
  char at[kPathRoom];
  path(last_, at);
  const int32_t there = flash::sizeOf(at);
  lastSize_ = there < 0 ? 0 : static_cast<uint32_t>(there);
  isTorn_ = lastSize_ != place.offset;
}

size_t Spool::frame(uint8_t* at, size_t size) {
  at[0] = kMark;
  at[1] = static_cast<uint8_t>(size);
  at[2] = static_cast<uint8_t>(size >> 8);
  const uint32_t sum = sumOf(at, at + kHeadBytes, size);
  for (size_t i = 0; i < 4; ++i) at[3 + i] = static_cast<uint8_t>(sum >> (8 * i));
  return kHeadBytes + size;
}

size_t Spool::sizeOf(const uint8_t* framed) { return sizeIn(framed); }

Error Spool::append(const uint8_t* framed, size_t size, uint32_t records) {
  Error error = appendOnce(framed, size);
  if (error == Error::FlashFull && first_ < last_) {  // others filled it up; what is oldest gives way
    error = dropOldestSegment();
    if (isOk(error)) error = appendOnce(framed, size);
  }
  if (isOk(error)) next_ += records;
  return error;
}

Error Spool::appendOnce(const uint8_t* framed, size_t size) {
  Error error = makeRoom(size);
  if (!isOk(error)) return error;
  char at[kPathRoom];
  path(last_, at);
  error = flash::append(at, framed, size);
  if (isOk(error)) {
    lastSize_ += static_cast<uint32_t>(size);
  } else {
    isTorn_ = true;  // some of it may be there
  }
  return error;
}

Error Spool::makeRoom(size_t size) {
  const bool fits = !isTorn_ && (lastSize_ == 0 || lastSize_ + size <= limit_.segmentBytes);
  if (fits) return Error::None;
  while (last_ - first_ + 1 >= limit_.segments) {
    const Error error = dropOldestSegment();
    if (!isOk(error)) return error;
  }
  ++last_;
  lastSize_ = 0;
  isTorn_ = false;
  return count() == 0 ? release(Place{last_, 0, next_}) : Error::None;
}

Error Spool::dropOldestSegment() {
  Place place = kept_.oldest;
  size_t size = 0;
  while (place.number != next_ && isWhole(place, size)) moveOn(place, size);
  const Kept before = kept_;
  kept_.dropped += place.number - kept_.oldest.number;
  const Error error = release(Place{first_ + 1, 0, place.number});
  if (!isOk(error)) kept_ = before;
  return error;
}

Error Spool::dropDamaged() {
  if (count() == 0) return Error::None;
  if (kept_.oldest.segment < last_) return dropOldestSegment();
  const uint32_t lost = count();
  ++last_;
  lastSize_ = 0;
  isTorn_ = false;
  kept_.dropped += lost;
  return release(Place{last_, 0, next_});
}

bool Spool::read(Place& place, uint8_t* into, size_t room, size_t& size) {
  while (true) {
    if (readAt(place, into, room, size)) {
      moveOn(place, size);
      return true;
    }
    if (place.segment >= last_) return false;
    place = Place{place.segment + 1, 0, place.number};
  }
}

void Spool::moveOn(Place& place, size_t size) {
  place.offset += static_cast<uint32_t>(kHeadBytes + size);
  ++place.number;
}

bool Spool::readAt(const Place& place, uint8_t* into, size_t room, size_t& size) {
  char at[kPathRoom];
  path(place.segment, at);
  uint8_t head[kHeadBytes];
  size_t got = 0;
  if (!isOk(flash::read(at, place.offset, head, sizeof head, got)) || got != sizeof head || head[0] != kMark) return false;
  size = sizeIn(head);
  if (size > room) return false;
  if (!isOk(flash::read(at, place.offset + static_cast<uint32_t>(kHeadBytes), into, size, got)) || got != size) return false;
  return sumIn(head) == sumOf(head, into, size);
}

// As readAt(), without a place for the record.
bool Spool::isWhole(const Place& place, size_t& size) {
  char at[kPathRoom];
  path(place.segment, at);
  uint8_t piece[64];
  size_t got = 0;
  if (!isOk(flash::read(at, place.offset, piece, kHeadBytes, got)) || got != kHeadBytes || piece[0] != kMark) return false;
  size = sizeIn(piece);
  const uint32_t wanted = sumIn(piece);
  uint32_t sum = crc32(piece + 1, 2);
  uint32_t offset = place.offset + static_cast<uint32_t>(kHeadBytes);
  for (size_t left = size; left > 0; left -= got, offset += static_cast<uint32_t>(got)) {
    const size_t part = left < sizeof piece ? left : sizeof piece;
    if (!isOk(flash::read(at, offset, piece, part, got)) || got != part) return false;
    sum = crc32(piece, got, sum);
  }
  return sum == wanted;
}

Error Spool::release(const Place& place) {
  const Place before = kept_.oldest;
  kept_.oldest = place;
  const Error error = record_.write(&kept_, sizeof kept_);
  if (!isOk(error)) {
    kept_.oldest = before;
    return error;
  }
  removeBefore(place.segment);
  return Error::None;
}

void Spool::removeBefore(uint32_t segment) {
  char at[kPathRoom];
  for (; first_ < segment && first_ < last_; ++first_) {
    path(first_, at);
    flash::remove(at);
  }
}

}  // namespace waystation
