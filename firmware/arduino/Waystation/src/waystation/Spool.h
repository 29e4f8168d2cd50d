// A bounded queue of small records in flash that survives a power cut at any byte.
//
// Records are appended to segments, /ws/<name>/00000001 and so on, each record with a checksum. What was half written
// when the power went is recognised, and nothing is ever appended behind it. The oldest record that is still wanted
// stands in a two-slot Record; a segment all of whose records are done is removed. When there is no room for a new
// segment the oldest goes, and the records lost with it are counted.
#pragma once

#include "Record.h"

namespace waystation {

struct SpoolSize {
  uint32_t segmentBytes;
  uint32_t segments;
};

class Spool {
 public:
  static constexpr size_t kHeadBytes = 7;  // before each record

  // Where a record is. Numbers count all records there ever were.
  struct Place {
    uint32_t segment;
    uint32_t offset;
    uint32_t number;
  };

  using Seen = void (*)(void* context, const uint8_t* record, size_t size);

  // `name` must outlive this.
  Spool(const char* name, SpoolSize size);

  // Looks at all that is there; `buffer` holds one record at a time, `seen` is told of each.
  Error begin(uint8_t* buffer, size_t room, Seen seen, void* context);

  // One or more records, each made by frame(), in one durable write.
  Error append(const uint8_t* framed, size_t size, uint32_t records);
  // Puts the head in front of `size` bytes that already stand at `at + kHeadBytes`; returns the size of both.
  static size_t frame(uint8_t* at, size_t size);

  static size_t sizeOf(const uint8_t* framed);  // of the record without its head

  // Reads the record at `place` and moves `place` behind it; false at the end.
  bool read(Place& place, uint8_t* into, size_t room, size_t& size);

  Place oldest() const { return kept_.oldest; }
  uint32_t count() const { return next_ - kept_.oldest.number; }
  // All before `place` are done.
  Error release(const Place& place);

  // The oldest record cannot be read any more: gives up its segment.
  Error dropDamaged();

  uint32_t dropped() const { return kept_.dropped; }  // for want of room, ever

 private:
  struct Kept {
    Place oldest;
    uint32_t dropped;
  };
  struct Found;

  void path(uint32_t segment, char* into) const;
  bool readAt(const Place& place, uint8_t* into, size_t room, size_t& size);
  bool isWhole(const Place& place, size_t& size);
  static void moveOn(Place& place, size_t size);
  Error appendOnce(const uint8_t* framed, size_t size);
  void scan(uint8_t* buffer, size_t room, Seen seen, void* context);
  Error makeRoom(size_t size);
  Error dropOldestSegment();
  void removeBefore(uint32_t segment);

  const char* name_;
  SpoolSize limit_;
  Record record_;
  Kept kept_ = {{1, 0, 0}, 0};
  uint32_t first_ = 1;    // the oldest segment there is
  uint32_t last_ = 1;     // the one that is appended to
  uint32_t lastSize_ = 0;
  bool isTorn_ = false;   // the last segment ends in something that is no record
  uint32_t next_ = 0;     // number of the next record
};

}  // namespace waystation
