// A new firmware image, written beside the one that runs.
//
// It is started by a reboot, and counts only when it has proved itself: when the new image has reached the hub and the
// hub has heard of it. An image that never gets so far is, where the board can, replaced by the old one at the next boot,
// and that one reports the failure.
#pragma once

#include "Record.h"
#include "Text.h"

namespace waystation {

class Ota {
 public:
  static constexpr size_t kIdRoom = 40;
  static constexpr size_t kImageRoom = 40;

  // Whether a package was on trial when the board booted, and with what outcome.
  enum class Trial : uint8_t { None, Runs, FellBack };

  Error begin();
  Trial trial() const { return trial_; }
  const char* package() const { return kept_.package; }
  Error decide();  // the trial is over, and reported

  Error open(uint32_t size);
  Error write(const uint8_t* bytes, size_t size);
  Error start(const char* package);  // the image is whole and verified: it is the next to boot
  void abort();

 private:
  struct Kept {
    char package[kIdRoom];
    char before[kImageRoom];  // the image that ran when the new one was written
  };

  Record record_{"ota"};
  Kept kept_ = {};
  Trial trial_ = Trial::None;
  bool isOpen_ = false;
};

}  // namespace waystation
