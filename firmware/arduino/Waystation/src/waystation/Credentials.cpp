#include "Credentials.h"

#include "Json.h"
#include "Node.h"

namespace waystation {

namespace {

// 43 letters of A-Z a-z 0-9 _ - from 258 bits of the board's own noise.
void makeSecret(char* into) {
  const char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  uint8_t bytes[43];
  port::randomBytes(bytes, sizeof bytes);
  for (size_t i = 0; i < sizeof bytes; ++i) into[i] = kLetters[bytes[i] & 63];
  into[sizeof bytes] = 0;
}

}  // namespace

Error Credentials::use(const Settings& settings) {
  if (settings.apiKey[0] != 0) {
    authorize(settings.serial, settings.apiKey);
    return Error::None;
  }
  if (isOk(record_.read(&kept_, sizeof kept_))) authorize(kept_.serial, kept_.secret);
  if (settings.claimCode[0] != 0 && !same(settings.claimCode, kept_.code)) return beginClaim(settings.claimCode);
  return isReady() ? Error::None : Error::BadInput;
}

Error Credentials::beginClaim(const char* code) {
  isClaiming_ = true;
  if (isOk(candidateRecord_.read(&candidate_, sizeof candidate_)) && same(candidate_.code, code)) return Error::None;
  candidate_ = Candidate{};
  return copy(candidate_.code, sizeof candidate_.code, code) ? Error::None : Error::BadInput;
}

// A board's random numbers are good for a secret only while its radio is on.
void Credentials::tick() {
  if (!isClaiming_ || candidate_.secret[0] != 0 || !node_.wifi().isOnline() || !pace_.isDue()) return;
  makeSecret(candidate_.secret);
  const Error error = candidateRecord_.write(&candidate_, sizeof candidate_);
  if (isOk(error)) return;
  candidate_.secret[0] = 0;
  pace_.failed();
  node_.report("a secret cannot be kept", error);
}

void Credentials::authorize(const char* serial, const char* secret) {
  Writer writer(authorization_, sizeof authorization_);
  if (serial[0] != 0) {
    writer.add("Device ").add(serial).add(':').add(secret);
  } else {
    writer.add("Bearer ").add(secret);
  }
}

bool Credentials::wants() { return isClaiming_ && candidate_.secret[0] != 0 && pace_.isDue(); }

void Credentials::ask(Request& request) {
  const Settings& settings = node_.settings();
  request.line("POST").add("/api/claim");
  JsonWriter json(request.body("application/json"));
  json.object().member("code", candidate_.code).member("api_key", candidate_.secret);
  json.member("name", settings.name).member("model", settings.model);
  if (settings.serial[0] != 0) json.key("external_ids").object().member("serial", settings.serial).end();
  json.end();
}

void Credentials::answered(const Answer& answer) {
  Error error = answer.error;
  if (isOk(error)) error = accept(answer);
  if (isOk(error)) {
    isClaiming_ = false;
    candidateRecord_.erase();
    pace_.succeeded();
    node_.report("claimed", Error::None);
    return;
  }
  const bool isHopeless = error == Error::Unknown || error == Error::Rejected;  // the code is used up or mistyped
  pace_.failed(isHopeless ? 60000 : answer.retryAfterSeconds * 1000);
  node_.report("claiming", error);
}

Error Credentials::accept(const Answer& answer) {
  if (answer.isCut || !Json::isValid(answer.body, answer.size)) return Error::BadAnswer;
  const Json said(answer.body, answer.size);
  Kept made = {};
  copy(made.code, sizeof made.code, candidate_.code);
  copy(made.secret, sizeof made.secret, candidate_.secret);
  if (!said["key"].text(made.key, sizeof made.key)) return Error::BadAnswer;
  if (!said["serial"].text(made.serial, sizeof made.serial)) return Error::BadAnswer;
  said["name"].text(made.name, sizeof made.name);
  const Error error = record_.write(&made, sizeof made);
  if (!isOk(error)) return error;
  kept_ = made;
  authorize(kept_.serial, kept_.secret);
  return Error::None;
}

}  // namespace waystation
