// Files of the flash, to the hub.
//
// `files.send("/trace.csv")` notes it in flash and returns; the file stays where it is and must not change until it was
// sent. A small one goes in one call with its SHA-256. A large one goes by tus 1.0, in parts: when the connection, the hub
// or the power is gone in the middle, it is asked how much it has, and the rest follows.
#pragma once

#include "Record.h"
#include "Service.h"
#include "Sha256.h"

namespace waystation {

class Files : public Service {
 public:
  static constexpr size_t kWaiting = 4;
  static constexpr size_t kPathRoom = 64;
  static constexpr uint32_t kWholeBytes = 16384;  // up to here in one call
  static constexpr uint32_t kPartBytes = 65536;   // a part of a large one

  using Sent = void (*)(void* context, const char* path, Error error);

  explicit Files(Node& node) : Service(node) {}

  // Without a name it is called as its path ends. Error::Busy when kWaiting are waiting.
  Error send(const char* path, const char* name = nullptr);
  void onSent(Sent sent, void* context = nullptr);
  uint32_t waiting() const;

  Error begin() override;
  void tick() override;
  bool wants() override;
  void ask(Request& request) override;
  size_t body(uint8_t* into, size_t room) override;
  void answered(const Answer& answer) override;

 private:
  enum class Step : uint8_t { Nothing, Hash, Whole, Create, Ask, Part };
  struct Upload {
    char path[kPathRoom];
    char name[kPathRoom];
    char place[Answer::kLocationRoom];  // at the hub; empty until it was created
    uint32_t size;
  };
  struct Kept {
    Upload uploads[kWaiting];
  };

  void next();
  void askWhole(Request& request);
  void askCreate(Request& request);
  void askPart(Request& request);
  void created(const Answer& answer);
  void hasCome(const Answer& answer);
  void fail(const Answer& answer);
  void end(Error error);
  Upload& upload() { return kept_.uploads[0]; }

  Record record_{"uploads"};
  Kept kept_ = {};
  Step step_ = Step::Nothing;
  uint32_t offset_ = 0;  // of what is read or sent next
  Sha256 sum_;
  char sha256_[Sha256::kHexRoom] = "";
  Sent sent_ = nullptr;
  void* context_ = nullptr;
  Pace pace_{1000, 60000};
};

}  // namespace waystation
