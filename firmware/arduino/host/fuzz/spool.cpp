// A spool whose segment holds anything at all: it begins, counts what it can read, takes a new record and gives it back.

#include <LittleFS.h>
#include <stdlib.h>
#include <unistd.h>
#include <waystation/Flash.h>
#include <waystation/Spool.h>

#include <string>

#include "fuzz.h"

using waystation::Error;
using waystation::Spool;

const char* const kSeeds[] = {"\xa7\x05", "\xa7\x03\x01 0123456789", "nothing at all", nullptr};

namespace {

bool prepared() {
  char folder[] = "/dev/shm/waystation-fuzz-XXXXXX";
  static std::string home = access("/dev/shm", W_OK) == 0 ? mkdtemp(folder) : "/tmp";
  LittleFS.folder = home;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const bool isPrepared = prepared();
  (void)isPrepared;
  waystation::flash::removeFolder("/ws");
  waystation::flash::makeFolder("/ws/f");
  // A whole record, then what came; or only what came.
  uint8_t framed[64] = {};
  memcpy(framed + Spool::kHeadBytes, "first", 5);
  const size_t first = Spool::frame(framed, 5);
  const bool hasFirst = size % 2 == 0;
  waystation::flash::write("/ws/f/00000003", framed, hasFirst ? first : 0, bytes, size);
  Spool spool("f", waystation::SpoolSize{4096, 4});
  uint8_t record[64];
  MUST(spool.begin(record, sizeof record, nullptr, nullptr) == Error::None);
  const uint32_t before = spool.count();
  MUST(before >= (hasFirst ? 1U : 0U));
  memcpy(framed + Spool::kHeadBytes, "newer", 5);
  MUST(spool.append(framed, Spool::frame(framed, 5), 1) == Error::None);
  Spool::Place place = spool.oldest();
  uint32_t seen = 0;
  size_t got = 0;
  while (spool.read(place, record, sizeof record, got)) ++seen;
  MUST(seen == spool.count() && seen == before + 1);
  MUST(got == 5 && memcmp(record, "newer", 5) == 0);
  MUST(spool.release(place) == Error::None && spool.count() == 0);
  return 0;
}
