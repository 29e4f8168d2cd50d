#include "Clock.h"

#include "Port.h"
#include "Text.h"

namespace waystation {

namespace {

constexpr uint64_t kStepMs = 2500;  // Date has whole seconds; smaller differences than this are no news

int number(const char* at, int digits) {
  int found = 0;
  for (int i = 0; i < digits; ++i) {
    if (at[i] < '0' || at[i] > '9') return -1;
    found = found * 10 + (at[i] - '0');
  }
  return found;
}

int monthOf(const char* at) {
  const char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  for (int month = 0; month < 12; ++month) {
    if (strncmp(kMonths + 3 * month, at, 3) == 0) return month + 1;
  }
  return 0;
}

// Days from 1970-01-01 to the date, of the Gregorian calendar.
int64_t daysOf(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;
  const int m = month <= 2 ? month + 9 : month - 3;  // a year that begins in March ends with its leap day
  return 365LL * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

}  // namespace

uint64_t parseHttpDate(const char* words) {
  if (strlen(words) != 29 || words[3] != ',' || words[16] != ' ' || !same(words + 25, " GMT")) return 0;
  const int day = number(words + 5, 2);
  const int month = monthOf(words + 8);
  const int year = number(words + 12, 4);
  const int hour = number(words + 17, 2);
  const int minute = number(words + 20, 2);
  const int second = number(words + 23, 2);
  if (day < 1 || month == 0 || year < 1970 || hour < 0 || minute < 0 || second < 0) return 0;
  return static_cast<uint64_t>(((daysOf(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000;
}

Error Clock::begin() {
  record_.read(&kept_, sizeof kept_);
  ++kept_.boot;
  return record_.write(&kept_, sizeof kept_);
}

uint64_t Clock::uptimeMs() const { return port::uptimeMs(); }

bool Clock::isKnown() const {
  uint64_t wall = 0;
  return offsetMs_ != 0 || port::wallClockMs(wall);
}

uint64_t Clock::nowMs() const {
  uint64_t wall = 0;
  if (port::wallClockMs(wall)) return wall;
  return offsetMs_ == 0 ? 0 : offsetMs_ + uptimeMs();
}

void Clock::heard(uint64_t epochMs) {
  const uint64_t offset = epochMs - uptimeMs();
  const uint64_t apart = offset > offsetMs_ ? offset - offsetMs_ : offsetMs_ - offset;
  if (epochMs != 0 && apart > kStepMs) offsetMs_ = offset;
}

Stamp Clock::stamp() {
  const uint64_t known = nowMs();
  uint64_t ms = known != 0 ? known : uptimeMs();
  if (ms <= lastStampMs_ && lastStampMs_ - ms < 1000) ms = lastStampMs_ + 1;  // two of one time would be taken for one
  lastStampMs_ = ms;
  const Stamp made{known != 0 ? 0 : kept_.boot, ms};
  seen(made);
  return made;
}

void Clock::seen(const Stamp& stamp) {
  if (stamp.boot == 0) return;
  Boot* boot = find(stamp.boot);
  if (boot == nullptr) boot = &add(stamp.boot);
  if (stamp.ms > boot->lastMs) boot->lastMs = stamp.ms;
}

bool Clock::resolve(const Stamp& stamp, uint64_t& epochMs) {
  if (stamp.boot == 0) {
    epochMs = stamp.ms;
    return true;
  }
  const Boot* boot = find(stamp.boot);
  if (boot == nullptr) return false;
  if (boot->startMs == 0 && isKnown()) concludeStarts();
  if (boot->startMs == 0) return false;
  epochMs = boot->startMs + stamp.ms;
  return true;
}

Clock::Boot* Clock::find(uint32_t number) {
  for (Boot& boot : kept_.boots) {
    if (boot.number == number) return &boot;
  }
  return nullptr;
}

// In order of their numbers; of too many the oldest goes, and its records will have the hub's time of arrival.
Clock::Boot& Clock::add(uint32_t number) {
  Boot* boots = kept_.boots;
  if (boots[kBoots - 1].number != 0) {
    memmove(boots, boots + 1, (kBoots - 1) * sizeof *boots);
    boots[kBoots - 1] = Boot{};
  }
  size_t at = 0;
  while (boots[at].number != 0 && boots[at].number < number) ++at;
  memmove(boots + at + 1, boots + at, (kBoots - 1 - at) * sizeof *boots);
  boots[at] = Boot{number, 0, 0, 0};
  return boots[at];
}

void Clock::concludeStarts() {
  uint64_t next = nowMs() - uptimeMs();
  for (size_t i = kBoots; i-- > 0;) {
    Boot& boot = kept_.boots[i];
    if (boot.number == 0) continue;
    if (boot.startMs == 0) boot.startMs = boot.number == kept_.boot ? next : next - boot.lastMs - 1;
    next = boot.startMs;
  }
  record_.write(&kept_, sizeof kept_);
}

}  // namespace waystation
