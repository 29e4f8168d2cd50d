#include "Commands.h"

#include "Node.h"

namespace waystation {

namespace {

const OutboxManner kManner = {"outcomes", "/api/commands/outcome", "", "", false};
constexpr uint32_t kLeastMs = 250;  // between two calls, however fast the hub answers

bool read(const Json& json, Command& command) {
  if (!json["id"].text(command.id, sizeof command.id) || command.id[0] == 0) return false;
  if (!json["name"].text(command.name, sizeof command.name)) command.name[0] = 0;
  command.parameters = json["parameters"];
  int64_t number = 0;
  command.attempt = json["attempt"].whole(number) ? static_cast<uint32_t>(number) : 1;
  command.leaseSeconds = json["lease_seconds"].whole(number) && number > 0 ? static_cast<uint32_t>(number) : 60;
  command.isOnce = false;
  json["once"].boolean(command.isOnce);
  return true;
}

}  // namespace

Commands::Commands(Node& node, Line* line) : Service(node, line), outcomes_(*this), isHeldOpen_(line != nullptr) {
  if (line != nullptr) node.addLine(*line);
}

bool Commands::on(const char* name, Action action, void* context) {
  if (knownCount_ == kActions) return false;
  known_[knownCount_++] = Known{name, action, context};
  return true;
}

Error Commands::begin() {
  record_.read(&journal_, sizeof journal_);
  pace_ = Pace(node_.settings().retryMs, node_.settings().retryMostMs);
  return Error::None;
}

void Commands::tick() {
  if (!isReconciled_) reconcile();
  if (!isBusy()) return;
  const uint64_t now = node_.clock().uptimeMs();
  if (now - toldAtMs_ < leaseSeconds_ * 500ULL) return;
  toldAtMs_ = now;
  outcomes_.tell(current_, "running", nullptr, 0);
}

// After every service has looked at its flash: what was begun before this boot and never finished.
void Commands::reconcile() {
  isReconciled_ = true;
  for (Entry& entry : journal_.entries) {
    if (entry.state == State::Rebooting) {
      Text<32> result;
      JsonWriter(result).object().member("boot", node_.clock().boot()).end();
      conclude(entry.id, State::Done, result.text(), result.size());
    } else if (entry.state == State::Begun && entry.isOnce) {
      const char kWhy[] = "{\"error\":\"the device restarted in the middle of it\"}";
      conclude(entry.id, State::Failed, kWhy, sizeof kWhy - 1);
    }
  }
}

// The outcome before the next command: then the hub's order and ours are the same.
bool Commands::wants() { return isReconciled_ && !isBusy() && outcomes_.waiting() == 0 && pace_.isDue(); }

void Commands::ask(Request& request) {
  Writer& path = request.line("GET").add("/api/commands/next");
  askedAtMs_ = node_.clock().uptimeMs();
  if (!isHeldOpen_) return;
  path.add("?wait=").add(kWaitSeconds);
  request.patience((kWaitSeconds + 10) * 1000);
}

void Commands::answered(const Answer& answer) {
  if (!isOk(answer.error)) {
    pace_.failed(answer.retryAfterSeconds * 1000);
    return;
  }
  pace_.succeeded();
  const Json command = Json(answer.body, answer.size)["command"];
  if (command.isObject()) {
    received(command, answer.isCut);
  } else if (!isHeldOpen_) {
    pace_.wait(everyMs_);
  } else if (node_.clock().uptimeMs() - askedAtMs_ < kLeastMs) {
    pace_.wait(kLeastMs);
  }
}

void Commands::received(const Json& json, bool isCut) {
  Command command;
  if (!read(json, command)) {
    pace_.failed();
    return;
  }
  if (Entry* entry = find(command.id)) {
    again(*entry, command);
  } else if (isCut) {
    const char kWhy[] = "{\"error\":\"the command is larger than this device can read\"}";
    note(command, State::Begun);
    conclude(command.id, State::Rejected, kWhy, sizeof kWhy - 1);
  } else {
    carryOut(command);
  }
}

// We know this id: the hub did not hear what became of it, or not in time.
void Commands::again(Entry& entry, const Command& command) {
  if (entry.state == State::Begun && !entry.isOnce) {
    carryOut(command);
  } else if (entry.state == State::Begun || entry.state == State::Rebooting) {
    outcomes_.tell(entry.id, "running", nullptr, 0);
  } else {
    outcomes_.tell(entry.id, wordFor(entry.state), nullptr, 0);
  }
}

void Commands::carryOut(const Command& command) {
  const bool isReboot = same(command.name, "reboot");
  const Error error = note(command, isReboot ? State::Rebooting : State::Begun);
  if (!isOk(error)) {  // without a journal it could be done twice; the lease runs out, and then it is tried again
    node_.report("a command cannot be noted", error);
    pace_.failed();
    return;
  }
  Text<kResultRoom> result;
  JsonWriter json(result);
  leaseSeconds_ = command.leaseSeconds;
  toldAtMs_ = node_.clock().uptimeMs();
  const Outcome outcome = act(command, json);
  if (outcome == Outcome::Later) {
    copy(current_, sizeof current_, command.id);
    if (isReboot) node_.reboot();
    return;
  }
  if (result.isCut()) {
    result.clear();
    JsonWriter(result).object().member("error", "the result is too large").end();
  }
  conclude(command.id, stateOf(outcome), result.text(), result.size());
}

Outcome Commands::act(const Command& command, JsonWriter& result) {
  for (size_t i = 0; i < knownCount_; ++i) {
    if (same(known_[i].name, command.name)) return known_[i].action(known_[i].context, command, result);
  }
  if (same(command.name, "reboot")) return Outcome::Later;
  result.object().member("error", "this device does not know the command").end();
  return Outcome::Rejected;
}

Error Commands::finish(Outcome outcome, const char* result) {
  if (!isBusy() || outcome == Outcome::Later) return Error::BadInput;
  const Error error = conclude(current_, stateOf(outcome), result == nullptr ? "" : result, result == nullptr ? 0 : strlen(result));
  current_[0] = 0;
  return error;
}

Error Commands::note(const Command& command, State state) {
  Entry* entry = find(command.id);
  if (entry == nullptr) entry = &journal_.entries[journal_.next++ % kJournal];
  copy(entry->id, sizeof entry->id, command.id);
  entry->state = state;
  entry->isOnce = command.isOnce || state == State::Rebooting;
  return record_.write(&journal_, sizeof journal_);
}

// First the outcome, then the journal: cut in between, begin() finds the outcome and knows.
Error Commands::conclude(const char* id, State state, const char* result, size_t size) {
  if (Entry* entry = find(id)) entry->state = state;
  Error error = outcomes_.tell(id, wordFor(state), result, size);
  if (isOk(error)) error = outcomes_.keep();
  return isOk(error) ? record_.write(&journal_, sizeof journal_) : error;
}

Commands::Entry* Commands::find(const char* id) {
  for (Entry& entry : journal_.entries) {
    if (entry.state != State::Free && same(entry.id, id)) return &entry;
  }
  return nullptr;
}

const char* Commands::wordFor(State state) {
  if (state == State::Done) return "done";
  return state == State::Rejected ? "rejected" : "failed";
}

Commands::State Commands::stateOf(Outcome outcome) {
  if (outcome == Outcome::Done) return State::Done;
  return outcome == Outcome::Rejected ? State::Rejected : State::Failed;
}

Commands::Outcomes::Outcomes(Commands& commands)
    : Outbox(commands.node_, kManner, SpoolSize{2048, 4}, queue_, sizeof queue_), commands_(commands) {
  safeWithin(60000);  // what must be in flash is put there by keep()
}

Error Commands::Outcomes::tell(const char* id, const char* state, const char* result, size_t size) {
  Text<kRecordBytes - kStampBytes> text;
  JsonWriter json(text);
  json.member("id", id).member("state", state);
  if (size > 0) json.key("result").raw(result, size);
  if (text.isCut()) return Error::TooLarge;
  return put(text.text(), text.size());
}

void Commands::Outcomes::found(const char* json, size_t size) {
  Text<kRecordBytes> whole;
  whole.add('{').add(json, size).add('}');
  const Json outcome(whole.text(), whole.size());
  char id[Command::kIdRoom];
  if (!outcome["id"].text(id, sizeof id)) return;
  Entry* entry = commands_.find(id);
  if (entry == nullptr) return;
  if (outcome["state"].is("done")) entry->state = State::Done;
  if (outcome["state"].is("failed")) entry->state = State::Failed;
  if (outcome["state"].is("rejected")) entry->state = State::Rejected;
}

}  // namespace waystation
