// What is to reach the hub, in order, once, whatever happens: a short queue in memory before a spool in flash.
//
// A record that is put here is at the hub or in flash at most `safeWithinMs` later: as long as the hub answers, nothing
// is written to flash; when it does not, or the queue is full, everything in the queue is appended to the spool in one
// write. Records leave when the hub has said 200, oldest first, as many in one call as its buffer holds. Sent twice they
// count once, because each has its own time. A batch that is refused for good is sent record by record, and the one that
// is refused alone is dropped and counted.
#pragma once

#include "Clock.h"
#include "Service.h"
#include "Spool.h"

namespace waystation {

class Json;
class Line;

struct OutboxManner {
  const char* name;    // of its folder below /ws
  const char* path;    // of the call
  const char* before;  // each record, after its time: `"values":{`
  const char* after;   // `}`
  bool hasTime;
};

class Outbox : public Service {
 public:
  Error begin() override;
  void tick() override;
  void save() override { keep(); }
  bool wants() override;
  void ask(Request& request) override;
  void answered(const Answer& answer) override;

  uint32_t waiting() const { return spool_.count() + queued_; }
  // Records have numbers; next() is that of the next one, and all below safeBelow() are at the hub or in flash.
  uint32_t next() const { return oldest() + waiting(); }
  uint32_t safeBelow() const { return next() - queued_; }
  uint32_t dropped() const { return spool_.dropped(); }  // the spool was full
  uint32_t refused() const { return refused_; }          // by the hub, since this boot
  void safeWithin(uint32_t ms) { safeWithinMs_ = ms; }
  Error keep();  // everything is in flash when it returns
  void pace(uint32_t everyMs) { everyMs_ = everyMs; }  // not more often than so, to send more at once

 protected:
  static constexpr size_t kStampBytes = 12;
  static constexpr size_t kRecordBytes = 512;  // the largest, with its stamp

  Outbox(Node& node, const OutboxManner& manner, SpoolSize size, uint8_t* queue, size_t room);
  // JSON without the time. Error::TooLarge when no queue or record could hold it.
  Error put(const char* json, size_t size);
  // Of each record that waits, when begin() reads the flash.
  virtual void found(const char*, size_t) {}

 private:
  static void seen(void* outbox, const uint8_t* record, size_t size);
  bool fromQueue(size_t& at, uint8_t* into, size_t& size) const;
  bool addTo(Writer& body, const uint8_t* record, size_t size, bool isFirst);
  void releaseSent();
  void dropQueued(uint32_t count);
  uint32_t oldest() const { return spool_.oldest().number + direct_; }

  const OutboxManner& manner_;
  Spool spool_;
  uint8_t* queue_;  // framed, as they go into the spool
  size_t room_;
  size_t largest_ = kRecordBytes;
  size_t used_ = 0;
  uint32_t queued_ = 0;
  uint64_t queuedAtMs_ = 0;  // the oldest of the queue
  uint32_t safeWithinMs_ = 10000;
  uint32_t everyMs_ = 0;
  uint32_t direct_ = 0;     // how many were delivered without having been in flash
  uint32_t sentBelow_ = 0;  // number behind the last record of the batch that is on its way
  uint32_t sent_ = 0;       // how many it has
  bool isSending_ = false;
  bool isOneByOne_ = false;
  uint32_t oneByOneBelow_ = 0;
  uint32_t refused_ = 0;
  uint32_t toldDropped_ = 0;
  Pace pace_{1000, 60000};
};

}  // namespace waystation
