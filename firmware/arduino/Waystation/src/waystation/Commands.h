// What the hub asks of this device, each thing done once.
//
//   waystation::Commands commands(node);
//   commands.on("set-interval", [](void*, const waystation::Command& command, waystation::JsonWriter& result) {
//     int64_t seconds = 0;
//     if (!command.parameters["seconds"].whole(seconds)) return waystation::Outcome::Rejected;
//     result.object().member("was", interval).end();
//     interval = seconds;
//     return waystation::Outcome::Done;
//   });
//
// The hub leases a command, and hands it out again when it hears nothing. So the id goes into a journal in flash before
// anything is done, and the outcome into a spool before the journal says that it is finished; whatever is interrupted,
// the same id is not carried out a second time. The one exception is the command that the power cut off in its middle: it
// is carried out again when the hub hands it out again, unless it may happen only once; then its outcome is `failed`.
// `reboot` needs no code of the sketch: it is done when the device is back.
//
// An action that takes longer than a moment returns Outcome::Later and calls finish() when it is done; the hub is told
// meanwhile that it is still running.
//
// With a line of its own (`Commands commands(node, &line)`) a call is held open, and a command is here at once. Without,
// the hub is asked every few seconds.
#pragma once

#include "Json.h"
#include "Outbox.h"

namespace waystation {

enum class Outcome : uint8_t { Done, Failed, Rejected, Later };

struct Command {
  static constexpr size_t kIdRoom = 28;
  static constexpr size_t kNameRoom = 65;

  char id[kIdRoom];
  char name[kNameRoom];
  Json parameters;  // good while the action runs
  uint32_t attempt;
  bool isOnce;
  uint32_t leaseSeconds;
};

using Action = Outcome (*)(void* context, const Command& command, JsonWriter& result);

class Commands : public Service {
 public:
  static constexpr size_t kActions = 16;
  static constexpr size_t kJournal = 16;       // the last ids that are remembered
  static constexpr size_t kResultRoom = 360;   // larger results become "the result is too large"
  static constexpr uint32_t kWaitSeconds = 50;  // a call is held open so long

  explicit Commands(Node& node, Line* line = nullptr);

  // False when there is no room for one more. `name` must stay.
  bool on(const char* name, Action action, void* context = nullptr);
  void pollEvery(uint32_t ms) { everyMs_ = ms; }
  // Ends the command whose action returned Later. `result` is JSON, or nullptr.
  Error finish(Outcome outcome, const char* result = nullptr);
  bool isBusy() const { return current_[0] != 0; }
  uint32_t waiting() const { return outcomes_.waiting(); }

  Error begin() override;
  void tick() override;
  bool wants() override;
  void ask(Request& request) override;
  void answered(const Answer& answer) override;

 private:
  enum class State : uint8_t { Free, Begun, Rebooting, Done, Failed, Rejected };
  struct Entry {
    char id[Command::kIdRoom];
    State state;
    bool isOnce;
  };
  struct Journal {
    Entry entries[kJournal];
    uint32_t next;
  };

  class Outcomes : public Outbox {
   public:
    explicit Outcomes(Commands& commands);
    Error tell(const char* id, const char* state, const char* result, size_t size);

   private:
    void found(const char* json, size_t size) override;

    Commands& commands_;
    uint8_t queue_[768];
  };

  void received(const Json& json, bool isCut);
  void again(Entry& entry, const Command& command);
  void carryOut(const Command& command);
  Outcome act(const Command& command, JsonWriter& result);
  Error note(const Command& command, State state);
  Error conclude(const char* id, State state, const char* result, size_t size);
  void reconcile();
  Entry* find(const char* id);
  static const char* wordFor(State state);
  static State stateOf(Outcome outcome);

  struct Known {
    const char* name;
    Action action;
    void* context;
  };

  Known known_[kActions] = {};
  size_t knownCount_ = 0;
  Record record_{"journal"};
  Journal journal_ = {};
  Outcomes outcomes_;
  char current_[Command::kIdRoom] = "";
  uint32_t leaseSeconds_ = 60;
  uint64_t toldAtMs_ = 0;
  uint64_t askedAtMs_ = 0;
  uint32_t everyMs_ = 5000;
  bool isHeldOpen_;
  bool isReconciled_ = false;
  Pace pace_{1000, 60000};
};

}  // namespace waystation
