#include "Outbox.h"

#include "Json.h"
#include "Node.h"

namespace waystation {

namespace {

constexpr size_t kRequestHeadBytes = 480;  // with the longest credential, and what is around a record

void packStamp(const Stamp& stamp, uint8_t* into) {
  for (size_t i = 0; i < 4; ++i) into[i] = static_cast<uint8_t>(stamp.boot >> (8 * i));
  for (size_t i = 0; i < 8; ++i) into[4 + i] = static_cast<uint8_t>(stamp.ms >> (8 * i));
}

Stamp stampIn(const uint8_t* from) {
  Stamp stamp{0, 0};
  for (size_t i = 0; i < 4; ++i) stamp.boot |= static_cast<uint32_t>(from[i]) << (8 * i);
  for (size_t i = 0; i < 8; ++i) stamp.ms |= static_cast<uint64_t>(from[4 + i]) << (8 * i);
  return stamp;
}

}  // namespace

Outbox::Outbox(Node& node, const OutboxManner& manner, SpoolSize size, uint8_t* queue, size_t room)
    : Service(node), manner_(manner), spool_(manner.name, size), queue_(queue), room_(room) {}

Error Outbox::begin() {
  uint8_t record[kRecordBytes];
  const size_t bodyRoom = node_.bufferBytes() - kRequestHeadBytes;
  if (largest_ > bodyRoom) largest_ = bodyRoom;
  pace_ = Pace(node_.settings().retryMs, node_.settings().retryMostMs);
  return spool_.begin(record, sizeof record, seen, this);
}

void Outbox::seen(void* outbox, const uint8_t* record, size_t size) {
  auto* self = static_cast<Outbox*>(outbox);
  if (size < kStampBytes) return;
  if (self->manner_.hasTime) self->node_.clock().seen(stampIn(record));
  self->found(reinterpret_cast<const char*>(record + kStampBytes), size - kStampBytes);
}

Error Outbox::put(const char* json, size_t size) {
  const size_t whole = Spool::kHeadBytes + kStampBytes + size;
  if (whole > room_ || kStampBytes + size > largest_) return Error::TooLarge;
  if (used_ + whole > room_) {
    const Error error = keep();
    if (!isOk(error)) return error;
  }
  uint8_t* at = queue_ + used_;
  packStamp(manner_.hasTime ? node_.clock().stamp() : Stamp{0, 0}, at + Spool::kHeadBytes);
  memcpy(at + Spool::kHeadBytes + kStampBytes, json, size);
  if (queued_ == 0) queuedAtMs_ = node_.clock().uptimeMs();
  used_ += Spool::frame(at, kStampBytes + size);
  ++queued_;
  return safeWithinMs_ == 0 ? keep() : Error::None;
}

Error Outbox::keep() {
  if (queued_ == 0) return Error::None;
  const Error error = spool_.append(queue_, used_, queued_);
  if (!isOk(error)) return error;
  used_ = 0;
  queued_ = 0;
  if (spool_.dropped() != toldDropped_) node_.report("the spool is full, the oldest records were dropped", Error::FlashFull);
  toldDropped_ = spool_.dropped();
  return Error::None;
}

// What is on its way is given a little longer: most likely it is not needed in flash.
void Outbox::tick() {
  if (queued_ == 0) return;
  const uint64_t age = node_.clock().uptimeMs() - queuedAtMs_;
  if (age >= safeWithinMs_ && (!isSending_ || age >= 2ULL * safeWithinMs_) && !isOk(keep())) {
    queuedAtMs_ = node_.clock().uptimeMs();  // the flash fails; not at every turn
  }
}

bool Outbox::wants() { return waiting() > 0 && pace_.isDue() && !(manner_.hasTime && node_.clock().isWorthWaiting()); }

void Outbox::ask(Request& request) {
  request.line("POST").add(manner_.path);
  Writer& body = request.body("application/json");
  const size_t start = body.size();
  uint8_t record[kRecordBytes];
  size_t size = 0;
  uint32_t taken = 0;
  Spool::Place place = spool_.oldest();
  size_t at = 0;
  const bool isFromSpool = spool_.count() > 0;
  const uint32_t most = isOneByOne_ ? 1 : 100;
  while (taken < most && (isFromSpool ? spool_.read(place, record, sizeof record, size) : fromQueue(at, record, size))) {
    if (!addTo(body, record, size, taken == 0)) break;
    ++taken;
  }
  body.add(body.size() == start ? "[]" : "]");
  sent_ = taken;
  sentBelow_ = oldest() + taken;
  isSending_ = true;
}

bool Outbox::fromQueue(size_t& at, uint8_t* into, size_t& size) const {
  if (at >= used_) return false;
  size = Spool::sizeOf(queue_ + at);
  memcpy(into, queue_ + at + Spool::kHeadBytes, size);
  at += Spool::kHeadBytes + size;
  return true;
}

// False, and nothing added, when the body is full: one byte for the closing bracket stays free.
bool Outbox::addTo(Writer& body, const uint8_t* record, size_t size, bool isFirst) {
  const size_t before = body.size();
  body.add(isFirst ? '[' : ',').add('{');
  uint64_t at = 0;
  if (manner_.hasTime && node_.clock().resolve(stampIn(record), at)) {
    body.add("\"at\":").add(static_cast<unsigned long long>(at)).add(',');
  }
  body.add(manner_.before).add(reinterpret_cast<const char*>(record + kStampBytes), size - kStampBytes);
  body.add(manner_.after).add('}');
  if (!body.isCut() && body.room() > 0) return true;
  body.cutTo(before);
  return false;
}

void Outbox::answered(const Answer& answer) {
  isSending_ = false;
  if (sent_ == 0 && answer.status != 0) {
    spool_.dropDamaged();
    return;
  }
  if (isOk(answer.error)) {
    if (isOneByOne_ && sentBelow_ >= oneByOneBelow_) isOneByOne_ = false;
    releaseSent();
    pace_.succeeded();
    if (everyMs_ > 0) pace_.wait(everyMs_);
  } else if (answer.error != Error::Rejected) {
    pace_.failed(answer.retryAfterSeconds * 1000);
  } else if (sent_ > 1) {
    isOneByOne_ = true;
    oneByOneBelow_ = sentBelow_;
  } else {
    ++refused_;
    releaseSent();
    node_.report("a record was refused by the hub and dropped", answer.error);
  }
}

// Since they were sent some may have been spilled, and some dropped from the spool.
void Outbox::releaseSent() {
  Spool::Place place = spool_.oldest();
  uint8_t record[kRecordBytes];
  size_t size = 0;
  uint32_t number = oldest();
  uint32_t inSpool = spool_.count();
  const bool isInSpool = inSpool > 0 && number < sentBelow_;
  for (; inSpool > 0 && number < sentBelow_ && spool_.read(place, record, sizeof record, size); --inSpool) ++number;
  if (isInSpool) spool_.release(place);
  if (number < sentBelow_) dropQueued(sentBelow_ - number);
}

void Outbox::dropQueued(uint32_t count) {
  size_t at = 0;
  for (; count > 0 && queued_ > 0; --count, --queued_, ++direct_) at += Spool::kHeadBytes + Spool::sizeOf(queue_ + at);
  memmove(queue_, queue_ + at, used_ - at);
  used_ -= at;
  queuedAtMs_ = node_.clock().uptimeMs();
}

}  // namespace waystation
