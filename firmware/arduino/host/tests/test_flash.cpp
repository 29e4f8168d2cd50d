// What is kept in flash, with the power cut at every single byte.

#include <LittleFS.h>
#include <waystation/Record.h>
#include <waystation/Spool.h>

#include <vector>

#include "check.h"

using waystation::Error;
using waystation::Record;
using waystation::Spool;
using waystation::SpoolSize;

namespace {

struct Thing {
  uint32_t number;
  char words[40];
};

std::vector<std::string> read(Spool& spool) {
  std::vector<std::string> found;
  Spool::Place place = spool.oldest();
  uint8_t record[128];
  size_t size = 0;
  while (spool.read(place, record, sizeof record, size)) found.emplace_back(reinterpret_cast<char*>(record), size);
  return found;
}

Error begin(Spool& spool) {
  uint8_t record[128];
  return spool.begin(record, sizeof record, nullptr, nullptr);
}

Error add(Spool& spool, const std::string& words) {
  uint8_t framed[128];
  memcpy(framed + Spool::kHeadBytes, words.data(), words.size());
  return spool.append(framed, Spool::frame(framed, words.size()), 1);
}

void release(Spool& spool, uint32_t count) {
  Spool::Place place = spool.oldest();
  uint8_t record[128];
  size_t size = 0;
  for (uint32_t i = 0; i < count; ++i) CHECK(spool.read(place, record, sizeof record, size) || fs::power.isOff());
  CHECK(spool.release(place) == Error::None);
}

std::string numbered(int number) { return "record " + std::to_string(number); }

}  // namespace

TEST(a_record_is_the_old_or_the_new_one_wherever_the_power_is_cut) {
  for (int64_t cut = 0; cut < 80; ++cut) {
    newFlash();
    waystation::flash::makeFolder("/ws");
    Thing thing{1, "one"};
    CHECK(Record("thing").write(&thing, sizeof thing) == Error::None);
    fs::power.bytesLeft = cut;
    thing = Thing{2, "two"};
    Record("thing").write(&thing, sizeof thing);
    fs::power.bytesLeft = -1;
    Thing found{};
    Record again("thing");
    CHECK(again.read(&found, sizeof found) == Error::None);
    CHECK(found.number == 1 || (found.number == 2 && std::string(found.words) == "two"));
    CHECK(found.number == 2 || cut < 61);
    thing = Thing{3, "three"};
    CHECK(again.write(&thing, sizeof thing) == Error::None);
    CHECK(Record("thing").read(&found, sizeof found) == Error::None && found.number == 3);
  }
}

TEST(a_record_that_was_never_written_is_not_found) {
  waystation::flash::makeFolder("/ws");
  Thing thing{7, "left alone"};
  CHECK(Record("thing").read(&thing, sizeof thing) == Error::NotFound);
  CHECK(thing.number == 7);
}

TEST(a_spool_gives_back_what_it_got_also_after_a_restart) {
  Spool spool("s", SpoolSize{100, 8});
  CHECK(begin(spool) == Error::None);
  for (int i = 0; i < 20; ++i) CHECK(add(spool, numbered(i)) == Error::None);
  release(spool, 7);
  Spool again("s", SpoolSize{100, 8});
  CHECK(begin(again) == Error::None);
  CHECK(again.count() == 13 && read(again).size() == 13);
  CHECK_SAME(read(again)[0], numbered(7));
  CHECK_SAME(read(again)[12], numbered(19));
  release(again, 13);
  CHECK(again.count() == 0);
  CHECK(add(again, "more") == Error::None);
  CHECK_SAME(read(again)[0], "more");
}

TEST(a_spool_loses_nothing_it_has_acknowledged_wherever_the_power_is_cut) {
  for (int64_t cut = 0; cut < 700; ++cut) {
    newFlash();
    int acknowledged = 0;
    int released = 0;
    {
      Spool spool("s", SpoolSize{90, 16});
      CHECK(begin(spool) == Error::None);
      fs::power.bytesLeft = cut;
      for (int i = 0; i < 20; ++i) {
        add(spool, numbered(i));
        if (!fs::power.isOff()) acknowledged = i + 1;
        if (i % 3 != 2) continue;
        release(spool, 1);
        if (!fs::power.isOff()) ++released;
        if (fs::power.isOff()) break;
      }
    }
    fs::power.bytesLeft = -1;
    Spool spool("s", SpoolSize{90, 16});
    CHECK(begin(spool) == Error::None);
    CHECK(add(spool, "after") == Error::None);
    const std::vector<std::string> found = read(spool);
    CHECK(spool.count() == found.size());
    CHECK_SAME(found.back(), "after");
    size_t first = static_cast<size_t>(released);
    if (found[0] == numbered(released + 1)) ++first;  // the release was whole, though nobody could be told
    for (size_t i = first; i < static_cast<size_t>(acknowledged); ++i) CHECK_SAME(found[i - first], numbered(static_cast<int>(i)));
    CHECK(found.size() - 1 <= static_cast<size_t>(acknowledged) + 1 - first);
  }
}

TEST(a_full_spool_drops_the_oldest_and_counts_them) {
  Spool spool("s", SpoolSize{64, 3});
  CHECK(begin(spool) == Error::None);
  for (int i = 0; i < 50; ++i) CHECK(add(spool, numbered(i)) == Error::None);
  const std::vector<std::string> found = read(spool);
  CHECK(spool.dropped() == 50 - found.size() && found.size() >= 6);
  CHECK_SAME(found.back(), numbered(49));
  CHECK_SAME(found.front(), numbered(static_cast<int>(50 - found.size())));
  Spool again("s", SpoolSize{64, 3});
  CHECK(begin(again) == Error::None);
  CHECK(again.dropped() == spool.dropped() && again.count() == spool.count());
}

TEST(a_spool_makes_room_when_others_have_filled_the_flash) {
  Spool spool("s", SpoolSize{64, 100});
  CHECK(begin(spool) == Error::None);
  for (int i = 0; i < 20; ++i) CHECK(add(spool, numbered(i)) == Error::None);
  LittleFS.roomBytes = 5;
  CHECK(add(spool, "x") == Error::FlashFull || spool.dropped() > 0);
  LittleFS.roomBytes = -1;
  CHECK(add(spool, "y") == Error::None);
  CHECK_SAME(read(spool).back(), "y");
  CHECK(read(spool).size() == spool.count());
}

TEST(a_bit_that_turned_loses_its_segment_and_no_other) {
  Spool spool("s", SpoolSize{64, 8});
  CHECK(begin(spool) == Error::None);
  for (int i = 0; i < 12; ++i) CHECK(add(spool, numbered(i)) == Error::None);
  std::string content = contentOf("/ws/s/00000002");
  content[20] = static_cast<char>(content[20] ^ 4);
  put("/ws/s/00000002", content);
  Spool again("s", SpoolSize{64, 8});
  CHECK(begin(again) == Error::None);
  const std::vector<std::string> found = read(again);
  CHECK(found.size() == again.count() && found.size() < 12 && found.size() >= 8);
  CHECK_SAME(found.front(), numbered(0));
  CHECK_SAME(found.back(), numbered(11));
}

TEST(folders_are_removed_with_all_that_is_in_them) {
  put("/ws/p/a/b/c.txt", "1");
  put("/ws/p/a/d.txt", "2");
  put("/ws/p/e.txt", "3");
  waystation::flash::removeFolder("/ws/p");
  CHECK(!waystation::flash::exists("/ws/p"));
}
