// Whole lives of a board at a hub in memory: with answers lost, and with the power cut at every byte that is written.

#include <LittleFS.h>
#include <Waystation.h>
#include <waystation/port_host.h>

#include <map>

#include "check.h"
#include "hub_double.h"

using waystation::Command;
using waystation::Error;
using waystation::JsonWriter;
using waystation::Outcome;

namespace {

std::map<std::string, int> done;  // what actions have done to the world: how often for each id

Outcome act(void*, const Command& command, JsonWriter& result) {
  if (!fs::power.isOff()) ++done[command.id];
  result.object().member("n", done[command.id]).end();
  return Outcome::Done;
}

// One boot of the board: what is in memory dies with it.
struct Board {
  explicit Board(HubDouble& hub) : node(hub), telemetry(node), messages(node), commands(node), files(node), packages(node, &ota) {
    commands.on("act", act);
    commands.pollEvery(500);
    packages.pollEvery(500);
    settings.server = "http://hub:1";
    settings.serial = "s";
    settings.apiKey = "k";
    settings.retryMs = 100;
    settings.retryMostMs = 2000;
    waystation::port::host.hasRebooted = false;
  }

  Error begin() { return node.begin(settings); }

  // Until nothing moves any more, or so many turns.
  void run(int turns = 400) {
    for (int i = 0; i < turns && !fs::power.isOff() && !waystation::port::host.hasRebooted; ++i) {
      node.loop();
      waystation::port::host.aheadMs += 40;
    }
  }

  waystation::Settings settings;
  waystation::NodeWith<2048> node;
  waystation::Telemetry telemetry;
  waystation::Messages messages;
  waystation::Commands commands;
  waystation::Files files;
  waystation::Ota ota;
  waystation::Packages packages;
};

// A life with the power cut after `cut` bytes, then as many boots as it wants.
template <typename Live>
void live(HubDouble& hub, int64_t cut, Live what) {
  fs::power.bytesLeft = cut;
  {
    Board board(hub);
    if (board.begin() == Error::None) what(board);
    board.run();
  }
  fs::power.bytesLeft = -1;
  hub.stop();
  for (int boot = 0; boot < 3; ++boot) {
    Board board(hub);
    CHECK(board.begin() == Error::None);
    board.run();
    hub.stop();
    if (!waystation::port::host.hasRebooted) break;
  }
}

size_t containing(const std::vector<std::string>& lines, const std::string& words) {
  size_t found = 0;
  for (const std::string& line : lines) found += line.find(words) != std::string::npos;
  return found;
}

int64_t atOf(const std::string& reading) {
  int64_t at = 0;
  CHECK(waystation::Json(reading.data(), reading.size())["at"].whole(at));
  return at;
}

std::string activeFile(Board& board, const char* type, const char* name) {
  char path[160];
  return board.packages.path(type, name, path, sizeof path) ? contentOf(path) : "(none)";
}

}  // namespace

TEST(readings_that_are_safe_arrive_once_wherever_the_power_is_cut) {
  for (int64_t cut = 1; cut < 3000; cut += 11) {
    newFlash();
    HubDouble hub;
    hub.isThere = false;
    uint32_t safe = 0;
    live(hub, cut, [&](Board& board) {
      board.telemetry.safeWithin(200);
      for (int i = 0; i < 30; ++i) {
        board.telemetry.add("n", i);
        board.run(3);
        if (!fs::power.isOff()) safe = board.telemetry.safeBelow();
        if (i == 20) hub.isThere = true;
      }
      hub.isThere = true;
    });
    for (uint32_t i = 0; i < safe; ++i) CHECK(containing(hub.readings, "{\"n\":" + std::to_string(i) + "}") == 1);
    for (size_t i = 1; i < hub.readings.size(); ++i) CHECK(atOf(hub.readings[i - 1]) < atOf(hub.readings[i]));
  }
}

TEST(readings_arrive_once_although_answers_are_lost) {
  HubDouble hub;
  Board board(hub);
  CHECK(board.begin() == Error::None);
  for (int i = 0; i < 20; ++i) {
    CHECK(board.telemetry.add("n", i) == Error::None);
    hub.loseAnswers = i % 3;
    board.run(20);
  }
  board.run();
  CHECK(hub.readings.size() == 20 && board.telemetry.waiting() == 0);
}

TEST(while_the_hub_answers_nothing_is_written_to_flash) {
  HubDouble hub;
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.run(10);
  fs::power.bytesLeft = 1000;
  for (int i = 0; i < 50; ++i) {
    board.telemetry.add("n", i);
    board.run(5);
  }
  board.run(20);
  CHECK(hub.readings.size() == 50);
  CHECK(fs::power.bytesLeft == 1000);
}

TEST(a_reading_that_is_refused_does_not_keep_the_others) {
  HubDouble hub;
  hub.poison = "{\"n\":5}";
  Board board(hub);
  CHECK(board.begin() == Error::None);
  for (int i = 0; i < 12; ++i) board.telemetry.add("n", i);
  board.run();
  CHECK(hub.readings.size() == 11 && board.telemetry.refused() == 1 && board.telemetry.waiting() == 0);
}

TEST(a_credential_that_is_refused_is_not_tried_all_the_time_and_loses_nothing) {
  HubDouble hub;
  hub.refuseWith = 401;
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.telemetry.add("n", 1);
  board.run(1000);  // 40 s
  CHECK(board.node.reach() == waystation::Reach::Refused && hub.calls < 12);
  hub.refuseWith = 0;
  waystation::port::host.aheadMs += 300000;
  board.run();
  CHECK(hub.readings.size() == 1 && board.node.reach() == waystation::Reach::Hub);
}

TEST(a_reading_of_a_board_without_a_clock_has_the_time_it_was_taken) {
  waystation::port::host.knowsTime = false;
  HubDouble hub;
  hub.isThere = false;
  for (int boot = 0; boot < 2; ++boot) {  // two boots that never hear the time
    Board board(hub);
    CHECK(board.begin() == Error::None);
    for (int i = 0; i < 3; ++i) {
      board.telemetry.add("n", boot * 10 + i);
      board.run(25);  // a second
    }
    board.node.reboot();
  }
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.telemetry.add("n", 20);
  board.run(250);  // ten seconds
  hub.isThere = true;
  board.run();
  CHECK(hub.readings.size() == 7);
  CHECK(containing(hub.readings, "\"at\":") == 7);
  const int64_t last = atOf(hub.readings[6]);
  const auto heard = static_cast<int64_t>(hub.nowMs);
  CHECK(last > heard - 62000 && last < heard - 8000);  // the first try may have waited for its turn
  for (size_t i = 1; i < 7; ++i) CHECK(atOf(hub.readings[i - 1]) < atOf(hub.readings[i]));
  CHECK(atOf(hub.readings[1]) - atOf(hub.readings[0]) >= 1000 && atOf(hub.readings[1]) - atOf(hub.readings[0]) < 1500);
}

TEST(without_any_clock_readings_are_sent_without_a_time) {
  waystation::port::host.knowsTime = false;
  HubDouble hub;
  hub.hasDate = false;
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.telemetry.add("n", 1);
  board.run();
  CHECK(hub.readings.size() == 1 && containing(hub.readings, "\"at\"") == 0);
}

TEST(a_claim_is_asked_with_the_same_secret_until_it_is_heard) {
  HubDouble hub;
  std::string first;
  for (int boot = 0; boot < 3; ++boot) {
    Board board(hub);
    board.settings.apiKey = "";
    board.settings.claimCode = "ABCD-EFGH-JKLM";
    hub.loseAnswers = boot < 2 ? 1000 : 0;
    CHECK(board.begin() == Error::None);
    board.telemetry.add("n", boot);
    board.run();
    CHECK(hub.claimedWith.size() == strlen("ABCD-EFGH-JKLM ") + 43);
    if (boot == 0) first = hub.claimedWith;
    CHECK_SAME(hub.claimedWith, first);
    CHECK(hub.readings.size() == (boot < 2 ? 0u : 3u));
  }
  hub.claimedWith.clear();
  Board board(hub);
  board.settings.apiKey = "";
  board.settings.claimCode = "ABCD-EFGH-JKLM";  // still in the sketch
  CHECK(board.begin() == Error::None);
  board.run();
  CHECK_SAME(hub.claimedWith, "");
  CHECK_SAME(board.node.key(), "k1234567");
}

TEST(messages_are_cut_to_what_fits) {
  HubDouble hub;
  Board board(hub);
  CHECK(board.begin() == Error::None);
  CHECK(board.messages.warning("sensor %d does not answer", 3) == Error::None);
  CHECK(board.messages.write(waystation::Severity::Info, std::string(3000, '"').c_str()) == Error::None);
  board.run();
  CHECK(hub.messages.size() == 2);
  CHECK(containing(hub.messages, "\"severity\":\"warning\",\"type\":\"log\",\"content\":\"sensor 3 does not answer\"") == 1);
}

TEST(a_command_is_done_once_wherever_the_power_is_cut) {
  for (const bool once : {false, true}) {
    int twice = 0;
    for (int64_t cut = 1; cut < 5200; cut += 7) {
      newFlash();
      done.clear();
      HubDouble hub;
      for (const char* id : {"c1", "c2", "c3"}) hub.commands.push_back(HubCommand{id, "act", "{\"a\":1}", once, "queued", 0, ""});
      live(hub, cut, [](Board&) {});
      for (const HubCommand& one : hub.commands) {
        if (once) {
          CHECK(done[one.id] <= 1);
          if (one.state == "done") CHECK(done[one.id] == 1);
          if (one.state == "queued") failed(__FILE__, __LINE__, "left alone", one.id);
        } else {
          CHECK_SAME(one.state, "done");
          CHECK(done[one.id] == 1 || done[one.id] == 2);
          twice += done[one.id] == 2;
        }
      }
    }
    // Only between the action and its outcome, a stretch of some two hundred bytes in each command.
    if (!once) CHECK(twice < 3 * 250 / 7);
  }
}

TEST(commands_are_done_once_although_answers_are_lost) {
  for (int lost = 0; lost < 12; ++lost) {
    newFlash();
    done.clear();
    HubDouble hub;
    for (const char* id : {"c1", "c2"}) hub.commands.push_back(HubCommand{id, "act", "null", false, "queued", 0, ""});
    Board board(hub);
    CHECK(board.begin() == Error::None);
    for (int i = 0; i < 60; ++i) {
      if (i % 5 == 0) hub.loseAnswers = lost % 4;
      board.run(10);
    }
    hub.loseAnswers = 0;
    board.run();
    for (const HubCommand& one : hub.commands) {
      CHECK_SAME(one.state, "done");
      CHECK(done[one.id] == 1);
    }
  }
}

TEST(a_reboot_happens_once_and_is_done_afterwards) {
  HubDouble hub;
  hub.commands.push_back(HubCommand{"r1", "reboot", "null", true, "queued", 0, ""});
  int reboots = 0;
  for (int boot = 0; boot < 3; ++boot) {
    Board board(hub);
    CHECK(board.begin() == Error::None);
    board.run();
    reboots += waystation::port::host.hasRebooted;
  }
  CHECK(reboots == 1);
  CHECK_SAME(hub.command("r1").state, "done");
  CHECK_SAME(hub.command("r1").result, "{\"boot\":2}");
}

TEST(a_command_that_takes_long_keeps_its_lease) {
  HubDouble hub;
  hub.commands.push_back(HubCommand{"c1", "long", "null", true, "queued", 0, ""});
  Board board(hub);
  board.commands.on("long", [](void*, const Command&, JsonWriter&) { return Outcome::Later; });
  CHECK(board.begin() == Error::None);
  board.run(100);
  CHECK(board.commands.isBusy());
  waystation::port::host.aheadMs += 31000;
  board.run(50);
  CHECK_SAME(hub.command("c1").state, "running");
  CHECK(board.commands.finish(Outcome::Done, "{\"x\":[1]}") == Error::None);
  board.run(50);
  CHECK_SAME(hub.command("c1").state, "done");
  CHECK_SAME(hub.command("c1").result, "{\"x\":[1]}");
}

TEST(a_command_that_is_too_large_or_not_known_is_rejected) {
  HubDouble hub;
  hub.commands.push_back(HubCommand{"big", "act", "{\"text\":\"" + std::string(3000, 'x') + "\"}", false, "queued", 0, ""});
  hub.commands.push_back(HubCommand{"odd", "what", "null", false, "queued", 0, ""});
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.run();
  CHECK_SAME(hub.command("big").state, "rejected");
  CHECK_SAME(hub.command("odd").state, "rejected");
}

TEST(a_package_is_in_force_whole_or_not_at_all_wherever_the_power_is_cut) {
  const std::string a1(300, 'a');
  const std::string b1(700, 'b');
  for (int64_t cut = 1; cut < 9000; cut += 23) {
    newFlash();
    HubDouble hub;
    hub.packages.push_back(HubPackage{"p1", "config", {{"a.txt", "old"}, {"d/b.txt", "old"}}, "staged", ""});
    live(hub, -1, [](Board&) {});
    CHECK_SAME(hub.packages[0].state, "deployed");
    hub.packages.push_back(HubPackage{"p2", "config", {{"a.txt", a1}, {"c.txt", ""}, {"d/b.txt", b1}}, "staged", ""});
    fs::power.bytesLeft = cut;
    {
      Board board(hub);
      hub.cutAnswerAt = 600;
      if (board.begin() == Error::None) board.run();
    }
    fs::power.bytesLeft = -1;
    hub.stop();
    Board board(hub);
    CHECK(board.begin() == Error::None);
    const std::string a = activeFile(board, "config", "a.txt");
    CHECK_SAME(activeFile(board, "config", "d/b.txt"), a == "old" ? "old" : b1);
    board.run();
    CHECK_SAME(hub.packages[1].state + hub.packages[1].detail, "deployed");
    CHECK_SAME(activeFile(board, "config", "a.txt"), a1);
    CHECK_SAME(activeFile(board, "config", "c.txt"), "");
    CHECK_SAME(activeFile(board, "config", "d/b.txt"), b1);
  }
}

TEST(a_package_that_the_sketch_cannot_use_is_taken_back) {
  HubDouble hub;
  hub.packages.push_back(HubPackage{"p1", "script", {{"a.txt", "old"}}, "staged", ""});
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.run();
  hub.packages.push_back(HubPackage{"p2", "script", {{"a.txt", "new"}}, "staged", ""});
  board.packages.onDeploy([](void*, const waystation::Package&) { return Error::BadInput; });
  board.run();
  CHECK_SAME(hub.packages[1].state, "failed");
  CHECK_SAME(activeFile(board, "script", "a.txt"), "old");
}

TEST(a_member_that_is_damaged_is_refused) {
  HubDouble hub;
  hub.packages.push_back(HubPackage{"p1", "config", {{"a.txt", "good"}, {"b.txt", "damaged"}}, "staged", ""});
  hub.damaged = "damaged";
  Board board(hub);
  CHECK(board.begin() == Error::None);
  board.run();
  CHECK_SAME(hub.packages[0].state + ": " + hub.packages[0].detail, "failed: this member is not what its hash says: b.txt");
  CHECK_SAME(activeFile(board, "config", "a.txt"), "(none)");
}

TEST(names_that_lead_out_of_the_folder_are_refused) {
  for (const char* name : {"../x", "/x", "a/../../x", "a//b", "a/", "..", ".", "a\\b", ""}) {
    newFlash();
    HubDouble hub;
    hub.packages.push_back(HubPackage{"p1", "data", {{name, "x"}}, "staged", ""});
    if (std::string(name) == "a\\b") hub.packages[0].members[0].first = "a\\\\b";
    Board board(hub);
    CHECK(board.begin() == Error::None);
    board.run();
    CHECK_SAME(hub.packages[0].state, "failed");
  }
}

TEST(a_package_that_fills_the_flash_fails_and_says_so) {
  HubDouble hub;
  hub.packages.push_back(HubPackage{"p1", "data", {{"a.bin", std::string(5000, 'x')}}, "staged", ""});
  Board board(hub);
  CHECK(board.begin() == Error::None);
  LittleFS.roomBytes = 3000;
  board.run();
  LittleFS.roomBytes = -1;
  CHECK_SAME(hub.packages[0].state + ": " + hub.packages[0].detail, "failed: it is larger than the free flash");
}

TEST(an_image_counts_when_it_has_reached_the_hub) {
  for (const bool isGood : {true, false}) {
    newFlash();
    HubDouble hub;
    hub.packages.push_back(HubPackage{"p1", "firmware", {{"firmware.bin", std::string(20000, 'i')}}, "staged", ""});
    {
      Board board(hub);
      hub.cutAnswerAt = 9000;
      CHECK(board.begin() == Error::None);
      board.run();
      CHECK(waystation::port::host.hasRebooted);
      CHECK_SAME(hub.packages[0].state, "deploying");
      CHECK_SAME(contentOf("/image.bin"), std::string(20000, 'i'));
    }
    waystation::port::host.image = isGood ? "the new one" : "host";
    Board board(hub);
    CHECK(board.begin() == Error::None);
    board.run();
    CHECK_SAME(hub.packages[0].state, isGood ? "deployed" : "failed");
    LittleFS.remove("/image.bin");
  }
}

TEST(files_arrive_whole_wherever_the_power_and_the_wire_are_cut) {
  std::string content;
  for (int i = 0; i < 20000; ++i) content += static_cast<char>(i * 7 + i / 256);
  for (size_t cut = 100; cut < 24000; cut += 1501) {
    newFlash();
    put("/large.bin", content);
    put("/small.txt", "hello");
    HubDouble hub;
    hub.cutRequestAt = cut;
    live(hub, static_cast<int64_t>(cut / 3), [](Board& board) {
      board.files.send("/large.bin", "large");
      board.run(60);
    });
    Board board(hub);
    CHECK(board.begin() == Error::None);
    if (hub.files.empty()) board.files.send("/large.bin", "large");
    CHECK(board.files.send("/small.txt") == Error::None);
    board.run(2000);
    CHECK(board.files.waiting() == 0);
    CHECK_SAME(hub.files["small.txt"], "hello");
    CHECK(hub.files["filename bGFyZ2U="] == content);
  }
  LittleFS.remove("/large.bin");
  LittleFS.remove("/small.txt");
}

TEST(wifi_is_joined_ever_more_seldom) {
  HubDouble hub;
  Board board(hub);
  board.settings.wifiName = "barn";
  waystation::port::host.isOnline = false;
  CHECK(board.begin() == Error::None);
  board.run(15000);  // ten minutes
  CHECK(waystation::port::host.joins >= 6 && waystation::port::host.joins <= 16);
  waystation::port::host.isOnline = true;
  board.telemetry.add("n", 1);
  board.run();
  CHECK(hub.readings.size() == 1);
}
