// What time it is, and what time it was.
//
// A board without a battery wakes up in 1970. The system's clock counts once somebody has set it (NTP by configTime());
// until then the hub's `Date` headers do. A reading taken before either was heard carries the number of this boot and the
// milliseconds since; when the time becomes known, so does the time of that reading. Of earlier boots that never heard
// the time only the order is certain: they are taken to have followed each other without a pause, and what was
// concluded is written down, so that the same reading gets the same time however often it is sent.
#pragma once

#include "Record.h"

namespace waystation {

// When something was: milliseconds since 1970 (boot 0), or of the uptime of that boot.
struct Stamp {
  uint32_t boot;
  uint64_t ms;
};

class Clock {
 public:
  Error begin();  // counts the boot
  uint64_t uptimeMs() const;

  bool isKnown() const;
  uint64_t nowMs() const;  // since 1970; 0 while it is not known
  void heard(uint64_t epochMs);
  // The hub was asked and has no clock either: nobody waits for it any more.
  void doWithout() { isDoneWaiting_ = true; }
  bool isWorthWaiting() const { return !isKnown() && !isDoneWaiting_; }

  Stamp stamp();  // of now; never the same twice
  // A record of an earlier time was found in flash; begin() of every service tells before anything is resolved.
  void seen(const Stamp& stamp);
  // False when nobody can tell (or not yet: isWorthWaiting()).
  bool resolve(const Stamp& stamp, uint64_t& epochMs);

  uint32_t boot() const { return kept_.boot; }

 private:
  static constexpr size_t kBoots = 8;
  struct Boot {
    uint32_t number;  // 0: this place is free
    uint32_t reserved;
    uint64_t startMs;  // since 1970; 0: not known
    uint64_t lastMs;   // uptime of its newest record
  };
  struct Kept {
    uint32_t boot;
    uint32_t reserved;
    Boot boots[kBoots];  // only those with records whose time was not known, oldest first
  };

  Boot* find(uint32_t number);
  Boot& add(uint32_t number);
  void concludeStarts();

  Record record_{"clock"};
  Kept kept_ = {};
  uint64_t offsetMs_ = 0;  // epoch minus uptime; 0: not heard
  uint64_t lastStampMs_ = 0;
  bool isDoneWaiting_ = false;
};

// "Sun, 29 Nov 2026 16:00:00 GMT" (RFC 9110) in milliseconds since 1970; 0 when it is something else.
uint64_t parseHttpDate(const char* words);

}  // namespace waystation
