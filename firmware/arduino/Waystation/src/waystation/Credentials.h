// Who this device is.
//
// A claim code from the hub's page becomes a credential of the device's own: it makes a secret, stores it, and only then
// asks (POST /api/claim with code and secret). Whenever the power goes or the answer is lost, it asks the same again and
// gets the same answer. What it has is kept in flash, in two slots; a new claim code in the settings replaces it, and the
// old credential is good until the new one is there. A device may instead be given a serial and a key in the settings.
#pragma once

#include "Record.h"
#include "Service.h"

namespace waystation {

struct Settings;

class Credentials : public Service {
 public:
  static constexpr size_t kSecretRoom = 129;

  explicit Credentials(Node& node) : Service(node) {}

  Error use(const Settings& settings);
  bool isReady() const { return authorization_[0] != 0; }
  // The header's value, "Device <serial>:<key>".
  const char* authorization() const { return authorization_; }
  const char* key() const { return kept_.key; }
  const char* name() const { return kept_.name; }

  void tick() override;
  bool wants() override;
  void ask(Request& request) override;
  void answered(const Answer& answer) override;

 private:
  struct Kept {
    char code[44];  // it came by this claim code
    char secret[44];
    char key[16];
    char serial[65];
    char name[65];
  };
  struct Candidate {
    char code[44];
    char secret[44];
  };

  Error beginClaim(const char* code);
  Error accept(const Answer& answer);
  void authorize(const char* serial, const char* secret);

  Record record_{"credential"};
  Record candidateRecord_{"candidate"};
  Kept kept_ = {};
  Candidate candidate_ = {};
  bool isClaiming_ = false;
  char authorization_[8 + 65 + kSecretRoom] = "";
  Pace pace_{1000, 60000};
};

}  // namespace waystation
