// The device's side of Waystation: begin() once, loop() at every turn, and services that join it.
//
//   WiFiClient tcp;
//   waystation::NodeWith<2048> node(tcp);
//   waystation::Telemetry telemetry(node);
//
// loop() gives each line to the first of its services that wants an exchange. It returns within a few milliseconds, but
// for these: opening a connection (at most 3 s, Line::kConnectMs), and a write to flash (tens of milliseconds).
// All memory is in these objects. Nothing is asked of the heap by this library, neither in begin() nor in loop().
#pragma once

#include "Clock.h"
#include "Credentials.h"
#include "Line.h"
#include "Service.h"
#include "Wifi.h"

namespace waystation {

// Pointers must stay good while the node lives: literals do.
struct Settings {
  const char* server = "";     // "http://192.168.1.10:8000"
  const char* claimCode = "";  // from the hub's page "Add a device"; or, instead,
  const char* serial = "";     // the serial (or key) of a registered device
  const char* apiKey = "";     // and its API key
  const char* name = "";       // how it introduces itself when it claims
  const char* model = "";
  const char* wifiName = "";  // empty: the sketch sees to the network itself
  const char* wifiPassword = "";
  bool (*isOnline)() = nullptr;  // where the network is not Wi-Fi
  uint32_t retryMs = 1000;       // after the first failure, doubled until
  uint32_t retryMostMs = 60000;  // this
  void (*report)(const char* what, Error error) = nullptr;  // told of what happens, for a log
};

enum class Reach : uint8_t {
  Nothing,   // no network, or the hub does not answer
  Claiming,  // it has no credential yet
  Refused,   // the hub does not accept the credential
  Hub,       // all is well
};

class Node {
 public:
  // The buffer bounds how large a batch, a command or a page of a manifest may be; see NodeWith below.
  Node(Client& client, char* buffer, size_t room);

  Error begin(const Settings& settings);
  void loop();

  Reach reach() const { return reach_; }
  Error error() const { return error_; }  // why it is not Reach::Hub
  const char* key() const { return credentials_.key(); }
  Clock& clock() { return clock_; }
  Wifi& wifi() { return wifi_; }

  // For services.
  const Settings& settings() const { return settings_; }
  size_t bufferBytes() const { return bufferBytes_; }
  void report(const char* what, Error error);
  void join(Service& service);
  void addLine(Line& line);
  void reboot();  // after all that is only in memory went to flash

 private:
  // Whoever does not know the time asks the hub for anything at all: each answer has a Date.
  class TimeQuestion : public Service {
   public:
    explicit TimeQuestion(Node& node) : Service(node) {}
    bool wants() override;
    void ask(Request& request) override;
    void answered(const Answer& answer) override;
  };

  void serve(Line& line);
  bool mayAsk(const Service& service) const;
  Service* nextFor(const Line& line);
  void settle(const Line& line);

  Settings settings_;
  Address hub_;
  size_t bufferBytes_;
  Line line_;
  Line* lines_ = nullptr;
  Service* services_ = nullptr;
  Clock clock_;
  Wifi wifi_;
  Pace pace_{1000, 60000};         // of reaching the hub at all
  Pace refusedPace_{5000, 300000};  // of a credential that it does not accept
  Reach reach_ = Reach::Nothing;
  Error error_ = Error::NoNetwork;
  Credentials credentials_;
  TimeQuestion timeQuestion_;
};

template <size_t kBufferBytes>
class NodeWith : public Node {
 public:
  explicit NodeWith(Client& client) : Node(client, storage_, kBufferBytes) {}

 private:
  char storage_[kBufferBytes];
};

}  // namespace waystation
