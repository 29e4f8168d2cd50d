// Sync packages: named sets of files that the hub stages for this device.
//
// Of each type (config, data, script) there are two folders, /ws/<type>/a and b, and a pointer to the one that counts. A
// package is fetched into the other one, member by member: what is there already is kept, what broke off goes on by
// Range, each member is compared with its SHA-256 and the whole with the manifest's. Then the pointer moves, in one write;
// then the sketch is asked whether it can live with what is there (onDeploy), and if not the pointer moves back. Only then
// the hub hears `deployed`. The power may go at any point: nothing is ever half in force.
//
// A package of type firmware has one member, which goes to Ota (if there is one) instead of into a folder.
//
//   waystation::Packages packages(node);
//   char path[96];
//   if (packages.path("config", "wifi.json", path, sizeof path)) …open it…
#pragma once

#include "Json.h"
#include "Ota.h"
#include "Port.h"
#include "Record.h"
#include "Service.h"
#include "Sha256.h"

namespace waystation {

struct Package {
  char id[Ota::kIdRoom];
  char type[12];
  char name[121];
  char version[65];
  char manifest[Sha256::kHexRoom];
  uint32_t count;
  uint64_t totalBytes;
};

class Packages : public Service {
 public:
  static constexpr size_t kNameRoom = 96;  // of a member
  static constexpr size_t kPage = 4;       // members of an answer that are remembered; then it is asked for more

  // Error::None: it is in force. Anything else: back to the one before.
  using Deploy = Error (*)(void* context, const Package& package);

  explicit Packages(Node& node, Ota* ota = nullptr) : Service(node), ota_(ota) {}

  void onDeploy(Deploy action, void* context = nullptr);
  void pollEvery(uint32_t ms) { everyMs_ = ms; }
  void pollNow() { pace_.now(); }
  // Of a file of the package in force; false when there is none of this type.
  bool path(const char* type, const char* name, char* into, size_t room);

  Error begin() override;
  void tick() override;
  bool wants() override;
  void ask(Request& request) override;
  bool streams(const Answer& answer) override;
  Error take(const uint8_t* bytes, size_t size) override;
  void answered(const Answer& answer) override;

 private:
  enum class Step : uint8_t { Ask, Begin, Page, Look, Fetch, Report };
  struct Member {
    char name[kNameRoom];
    char sha256[Sha256::kHexRoom];
    uint32_t size;
  };
  // What is in force of one type, and what is being fetched into the other folder.
  struct Pointer {
    char active;    // 'a' or 'b'; 0: nothing yet
    char before;    // what was active before it
    char isProven;  // the sketch has said that it can live with it
    char id[Ota::kIdRoom];
    char manifest[Sha256::kHexRoom];
    char fetching[Ota::kIdRoom];

    char other() const { return active == 'a' ? 'b' : 'a'; }
  };

  void takeOffer(const Answer& answer);
  bool readOffer(const Json& offer);
  void readMembers(const Json& members);
  void begun();
  void nextMember();
  void openMember();
  void look();
  void compare();
  void memberIsHere();
  void memberIsWrong();
  void restartMember();
  void fetched(const Answer& answer);
  void wholeIsHere();
  void deploy();
  void startFirmware();
  void say(const char* state, const char* detail, bool isLast);
  void giveUp(const char* detail, const char* which = "");
  void reported(const Answer& answer);
  Error write(const uint8_t* bytes, size_t size);
  bool isFirmware() const { return same(package_.type, "firmware"); }
  Member& member() { return page_[at_ - pageFrom_]; }

  Ota* ota_;
  Deploy deploy_ = nullptr;
  void* context_ = nullptr;
  Step step_ = Step::Ask;
  Package package_ = {};
  const char* type_ = "";  // of ours, of the same word
  Pointer pointer_ = {};
  Member page_[kPage] = {};
  uint32_t pageFrom_ = 0;
  uint32_t pageCount_ = 0;
  uint32_t at_ = 0;    // number of the member at hand
  uint32_t have_ = 0;  // bytes of it
  uint8_t tries_ = 0;
  uint64_t doneBytes_ = 0;
  Sha256 manifestSum_;
  Sha256 memberSum_;
  Text<flash::kPathRoom> path_;  // of the member at hand
  File file_;
  const char* state_ = "";  // what is to be reported
  Text<128> detail_;
  bool isLast_ = false;   // and whether that ends the package
  bool isTrial_ = false;  // or the trial of an image
  bool restarts_ = false;  // or the board starts its new image then
  uint32_t everyMs_ = 60000;
  Pace pace_{1000, 60000};
};

}  // namespace waystation
