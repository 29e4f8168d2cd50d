// A hub in memory, with the wire of docs/reference/device-api.md as far as a device sees it, so that thousands of lives
// with the power cut at every byte take seconds. The real hub has its turn in firmware/conformance.
#pragma once

#include <Client.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

struct Asked {
  std::string method;
  std::string path;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct Said {
  int status;
  std::string body;
  std::string headers;
};

struct HubCommand {
  std::string id;
  std::string name;
  std::string parameters;
  bool once;
  std::string state;
  int attempt;
  std::string result;
};

struct HubPackage {
  std::string id;
  std::string type;
  std::vector<std::pair<std::string, std::string>> members;  // name and content, by name
  std::string state;
  std::string detail;
};

class HubDouble : public Client {
 public:
  int connect(const char* host, uint16_t port) override;
  size_t write(const uint8_t* bytes, size_t size) override;
  int available() override { return static_cast<int>(out_.size()); }
  int read(uint8_t* into, size_t room) override;
  void stop() override;
  uint8_t connected() override { return isOpen_ || !out_.empty(); }

  bool isThere = true;
  bool hasDate = true;
  uint64_t nowMs = 1795968000000ULL;  // its clock; a test moves it
  int loseAnswers = 0;        // of the next so many requests the answer is lost
  size_t cutAnswerAt = 0;     // the next answer ends after so many bytes
  size_t cutRequestAt = 0;    // the next request is not heard beyond so many bytes
  int refuseWith = 0;         // every call is answered so
  std::string damaged;        // the blob of this content has other bytes
  std::string poison;         // a batch with this in it is refused

  std::vector<std::string> readings;  // each as it came
  std::vector<std::string> messages;
  std::deque<HubCommand> commands;
  std::vector<HubPackage> packages;
  std::map<std::string, std::string> files;
  std::string upload;  // bytes of the one that is under way
  size_t uploadLength = 0;
  std::string uploadName;
  int calls = 0;
  std::string claimedWith;  // code and key

  HubCommand& command(const std::string& id);

 private:
  void answer();
  Said said(const Asked& asked);
  Said saidToCommands(const Asked& asked);
  Said saidToPackages(const Asked& asked);
  Said saidToUploads(const Asked& asked);
  Said blob(const Asked& asked);
  Said batch(std::vector<std::string>& into, const Asked& asked);
  bool parse(Asked& asked);

  bool isOpen_ = false;
  std::string in_;
  std::string out_;
};

std::string sha256Of(const std::string& bytes);
