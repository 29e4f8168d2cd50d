#include "Node.h"

namespace waystation {

Node::Node(Client& client, char* buffer, size_t room)
    : bufferBytes_(room), line_(client, buffer, room), credentials_(*this), timeQuestion_(*this) {
  addLine(line_);
}

Error Node::begin(const Settings& settings) {
  settings_ = settings;
  Error error = hub_.parse(settings.server);
  if (!isOk(error)) return error;
  if (!port::mountFlash()) return Error::Flash;
  error = flash::makeFolder("/ws");
  if (isOk(error)) error = clock_.begin();
  if (isOk(error)) error = credentials_.use(settings);
  pace_ = Pace(settings.retryMs, settings.retryMostMs);
  wifi_.begin(settings.wifiName, settings.wifiPassword, settings.isOnline);
  for (Service* one = services_; one != nullptr && isOk(error); one = one->next_) error = one->begin();
  return error;
}

void Node::loop() {
  for (Service* one = services_; one != nullptr; one = one->next_) one->tick();
  if (!wifi_.loop()) {
    reach_ = Reach::Nothing;
    error_ = Error::NoNetwork;
    return;
  }
  for (Line* line = lines_; line != nullptr; line = line->next) serve(*line);
}

void Node::serve(Line& line) {
  if (line.isIdle()) {
    Service* service = nextFor(line);
    if (service == nullptr) return;
    line.start(*service, hub_, credentials_.authorization());
  }
  if (!line.step()) return;
  if (line.wasStale()) {
    line.start(*line.service(), hub_, credentials_.authorization());
  } else {
    settle(line);
  }
}

bool Node::mayAsk(const Service& service) const {
  if (!pace_.isDue()) return false;
  return &service == &credentials_ || (credentials_.isReady() && refusedPace_.isDue());
}

// In turn, so that a long backlog of one does not keep the others waiting.
Service* Node::nextFor(const Line& line) {
  Service* first = nullptr;
  bool isAfterLast = false;
  for (Service* one = services_; one != nullptr; one = one->next_) {
    const Line* its = one->line_ == nullptr ? &line_ : one->line_;
    if (its == &line && mayAsk(*one) && (first == nullptr || isAfterLast) && one->wants()) {
      if (isAfterLast || one == &credentials_) return one;
      first = one;
    }
    if (one == line.service()) isAfterLast = true;
  }
  return first;
}

void Node::settle(const Line& line) {
  const Answer& answer = line.answer();
  if (answer.dateMs != 0) clock_.heard(answer.dateMs);
  const Reach before = reach_;
  error_ = answer.error;
  if (answer.status == 0 && answer.error != Error::TooLarge && answer.error != Error::Flash) {
    reach_ = Reach::Nothing;
    pace_.failed();
  } else {
    pace_.succeeded();
    wifi_.hubIsReached();
    if (line.service() == &credentials_) {
      reach_ = Reach::Claiming;
    } else if (answer.error == Error::Refused) {
      reach_ = Reach::Refused;
      refusedPace_.failed(answer.retryAfterSeconds * 1000);
    } else {
      reach_ = Reach::Hub;
      refusedPace_.succeeded();
    }
  }
  if (reach_ != before) report(reach_ == Reach::Hub ? "the hub is reached" : "the hub is not reached", error_);
  line.service()->answered(answer);
}

void Node::report(const char* what, Error error) {
  if (settings_.report != nullptr) settings_.report(what, error);
}

void Node::join(Service& service) {
  Service** end = &services_;
  while (*end != nullptr) end = &(*end)->next_;
  *end = &service;
}

void Node::addLine(Line& line) {
  line.next = lines_;
  lines_ = &line;
}

void Node::reboot() {
  for (Service* one = services_; one != nullptr; one = one->next_) one->save();
  port::reboot();
}

bool Node::TimeQuestion::wants() { return node_.clock().isWorthWaiting(); }

void Node::TimeQuestion::ask(Request& request) { request.line("GET").add("/health/readyz"); }

void Node::TimeQuestion::answered(const Answer& answer) {
  if (answer.status != 0 && !node_.clock().isKnown()) node_.clock().doWithout();
}

}  // namespace waystation
