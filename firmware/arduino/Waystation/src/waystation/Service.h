// What every service of this library is: something that now and then wants one exchange with the hub.
#pragma once

#include "Http.h"

namespace waystation {

class Line;
class Node;

class Service {
 public:
  virtual ~Service() = default;

  // Once, when the file system is there and before anything is sent.
  virtual Error begin() { return Error::None; }
  // At every turn of the loop, also without a network; a few milliseconds at most.
  virtual void tick() {}

  // What is only in memory goes to flash: the board is about to reboot.
  virtual void save() {}

  virtual bool wants() = 0;
  // Writes the request. May be called again for the same exchange, when the connection turned out to be gone.
  virtual void ask(Request& request) = 0;
  // The next bytes of a file that was announced by Request::file(); 0 ends the exchange as failed.
  virtual size_t body(uint8_t*, size_t) { return 0; }
  // Whether the body is to be handed over by take() instead of being kept in the line's buffer.
  virtual bool streams(const Answer&) { return false; }
  virtual Error take(const uint8_t*, size_t) { return Error::None; }
  // The exchange has ended, well or not: answer.error says how.
  virtual void answered(const Answer& answer) = 0;

 protected:
  // Joins the node; services constructed first are asked first. With a line it has that one, else the node's.
  explicit Service(Node& node, Line* line = nullptr);

  Node& node_;

 private:
  friend class Node;

  Line* line_;
  Service* next_ = nullptr;
};

// When to try again: soon at first, later ever more seldom, never all devices at the same moment.
class Pace {
 public:
  constexpr Pace(uint32_t leastMs, uint32_t mostMs) : leastMs_(leastMs), mostMs_(mostMs) {}

  bool isDue() const;
  void failed(uint32_t atLeastMs = 0);
  void wait(uint32_t ms);  // no failure, but not before
  void succeeded();
  void now() { dueAtMs_ = 0; }
  bool isFailing() const { return failures_ > 0; }

 private:
  uint32_t leastMs_;
  uint32_t mostMs_;
  uint8_t failures_ = 0;
  uint64_t dueAtMs_ = 0;
};

}  // namespace waystation
