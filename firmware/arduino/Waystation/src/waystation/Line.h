// One connection to the hub, kept open, and the one exchange that is going on over it.
//
// step() moves what can be moved and returns: a few milliseconds. The exception is opening a connection, for which
// Arduino's clients know no other way than to wait: at most Line::kConnectMs.
#pragma once

#include "Http.h"
#include "Port.h"

namespace waystation {

class Service;

class Line : private BodySink {
 public:
  static constexpr uint32_t kConnectMs = 3000;
  static constexpr size_t kPieceBytes = 512;  // what is read or written at once

  // Both outlive this. The buffer holds a request, and then the body of its answer; 1 KiB is the least that serves.
  Line(Client& client, char* buffer, size_t room);

  bool isIdle() const { return phase_ == Phase::Idle; }
  void start(Service& service, const Address& hub, const char* authorization);
  bool step();  // true when the exchange has ended; `answer()` is good until the next start()
  void abandon();

  const Answer& answer() const { return answer_; }
  Service* service() const { return service_; }
  // The kept connection was gone before the hub could have heard of it: asking again is no failure.
  bool wasStale() const { return wasStale_; }

  Line* next = nullptr;  // of the same node

 private:
  enum class Phase : uint8_t { Idle, Connect, Send, SendFile, Receive };

  bool connect();
  bool send();
  bool sendFile();
  bool receive();
  bool end(Error error);
  bool isLate();
  void moved() { movedAtMs_ = port::uptimeMs(); }
  void endIfClosed();
  bool headIsHere(const Answer& answer) override;
  bool bodyComes(const uint8_t* bytes, size_t size) override;

  Client& client_;
  Writer buffer_;
  Answer answer_;
  AnswerReader reader_;
  Service* service_ = nullptr;
  const Address* hub_ = nullptr;
  Phase phase_ = Phase::Idle;
  bool isReused_ = false;
  bool wasStale_ = false;
  bool isStreamed_ = false;  // the body goes to the service piece by piece
  bool isHeadRequest_ = false;
  size_t sent_ = 0;
  uint32_t fileLeft_ = 0;
  uint32_t patienceMs_ = 0;
  uint64_t movedAtMs_ = 0;
};

// `LineWith<1024> second(tcp2);`
template <size_t kBufferBytes>
class LineWith : public Line {
 public:
  explicit LineWith(Client& client) : Line(client, storage_, kBufferBytes) {}

 private:
  char storage_[kBufferBytes];
};

}  // namespace waystation
