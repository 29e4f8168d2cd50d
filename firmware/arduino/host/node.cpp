// A sketch on a PC: the node that the conformance scenarios drive (firmware/conformance/client.py says what it does).
//   waystation-node --server URL (--claim CODE | --serial SERIAL --key KEY) --dir STATE [--seconds N] …

#include <LittleFS.h>
#include <Waystation.h>
#include <WiFiClient.h>
#include <stdlib.h>
#include <unistd.h>
#include <waystation/port_host.h>

namespace {

constexpr int kReboot = 75;

struct Options {
  waystation::Settings settings;
  const char* folder = ".";
  double seconds = 0;  // 0: until it is ended
  double period = 0.1;
  bool longPoll = false;
};

bool is(const char* a, const char* b) { return strcmp(a, b) == 0; }

bool parse(int count, char** words, Options& options) {
  waystation::Settings& settings = options.settings;
  for (int i = 1; i < count; ++i) {
    const char* word = words[i];
    if (is(word, "--no-clock")) {
      waystation::port::host.knowsTime = false;
    } else if (is(word, "--long-poll")) {
      options.longPoll = true;
    } else if (i + 1 == count) {
      return false;
    } else if (is(word, "--server")) {
      settings.server = words[++i];
    } else if (is(word, "--claim")) {
      settings.claimCode = words[++i];
    } else if (is(word, "--serial")) {
      settings.serial = words[++i];
    } else if (is(word, "--key")) {
      settings.apiKey = words[++i];
    } else if (is(word, "--name")) {
      settings.name = words[++i];
    } else if (is(word, "--dir")) {
      options.folder = words[++i];
    } else if (is(word, "--seconds")) {
      options.seconds = atof(words[++i]);
    } else if (is(word, "--period")) {
      options.period = atof(words[++i]);
    } else {
      return false;
    }
  }
  return settings.server[0] != 0;
}

void report(const char* what, waystation::Error error) { Serial.printf("%s: %s\n", what, waystation::text(error)); }

// One number after the other, and a note of each that can no longer be lost.
class Counting {
 public:
  explicit Counting(waystation::TelemetryBase& telemetry) : telemetry_(telemetry) {}

  void begin() {
    last_ = lastOf("count.txt");
    kept_ = last_;
    safeFrom_ = telemetry_.next();
  }

  // False when a number could not be taken: then it is not known which is which.
  bool loop(double periodSeconds) {
    const uint64_t now = waystation::port::uptimeMs();
    if (now - sampledAtMs_ >= static_cast<uint64_t>(periodSeconds * 1000)) {
      sampledAtMs_ = now;
      write("count.txt", "w", last_ + 1);
      if (!waystation::isOk(telemetry_.add("count", ++last_))) return false;
      ++taken_;
    }
    for (; written_ < taken_ && telemetry_.safeBelow() - safeFrom_ > written_; ++written_) write("kept.txt", "a", ++kept_);
    return true;
  }

 private:
  static int lastOf(const char* path) {
    int found = 0;
    if (FILE* file = fopen(path, "r")) {
      if (fscanf(file, "%d", &found) != 1) found = 0;
      fclose(file);
    }
    return found;
  }
  static void write(const char* path, const char* mode, int number) {
    if (FILE* file = fopen(path, mode)) {
      fprintf(file, "%d\n", number);
      fclose(file);
    }
  }

  waystation::TelemetryBase& telemetry_;
  int last_ = 0;
  int kept_ = 0;
  uint32_t taken_ = 0;
  uint32_t written_ = 0;
  uint32_t safeFrom_ = 0;
  uint64_t sampledAtMs_ = 0;
};

WiFiClient tcp;
WiFiClient secondTcp;
waystation::NodeWith<2048> node(tcp);
waystation::Telemetry telemetry(node);
waystation::Messages messages(node);
waystation::Files files(node);
waystation::Ota ota;
waystation::Packages packages(node, &ota);
Counting counting(telemetry);

waystation::Outcome note(void*, const waystation::Command& command, waystation::JsonWriter& result) {
  char words[200];
  if (!command.parameters["text"].text(words, sizeof words)) return waystation::Outcome::Rejected;
  FILE* file = fopen("notes.txt", "a+");
  if (file == nullptr) return waystation::Outcome::Failed;
  fprintf(file, "%s\n", words);
  rewind(file);
  int lines = 0;
  for (int letter = fgetc(file); letter != EOF; letter = fgetc(file)) lines += letter == '\n';
  fclose(file);
  result.object().member("noted", lines).end();
  return waystation::Outcome::Done;
}

waystation::Outcome say(void*, const waystation::Command& command, waystation::JsonWriter&) {
  const char* const words[] = {"debug", "info", "warning", "error", "critical"};
  char content[256];
  if (!command.parameters["content"].text(content, sizeof content)) return waystation::Outcome::Rejected;
  for (int i = 0; i < 5; ++i) {
    if (!command.parameters["severity"].is(words[i])) continue;
    const waystation::Error error = messages.write(static_cast<waystation::Severity>(i), content);
    return waystation::isOk(error) ? waystation::Outcome::Done : waystation::Outcome::Failed;
  }
  return waystation::Outcome::Rejected;
}

waystation::Outcome upload(void*, const waystation::Command& command, waystation::JsonWriter& result) {
  char name[60];
  waystation::Text<64> path;
  if (!command.parameters["file"].text(name, sizeof name)) return waystation::Outcome::Rejected;
  const waystation::Error error = files.send(path.add('/').add(name).text());
  if (waystation::isOk(error)) return waystation::Outcome::Done;
  result.object().member("error", waystation::text(error)).end();
  return waystation::Outcome::Failed;
}

}  // namespace

int main(int count, char** words) {
  Options options;
  if (!parse(count, words, options)) {
    fprintf(stderr, "usage: waystation-node --server URL (--claim CODE | --serial SERIAL --key KEY) [--dir STATE]\n");
    return 2;
  }
  if (chdir(options.folder) != 0) return 2;
  LittleFS.folder = "flash";
  LittleFS.mkdir("");
  waystation::LineWith<1024> second(secondTcp);
  waystation::Commands commands(node, options.longPoll ? &second : nullptr);
  commands.on("note", note);
  commands.on("say", say);
  commands.on("upload", upload);
  commands.pollEvery(200);
  packages.pollEvery(300);
  options.settings.retryMs = 100;
  options.settings.retryMostMs = 1000;
  options.settings.report = report;
  telemetry.safeWithin(200);
  const waystation::Error error = node.begin(options.settings);
  if (!waystation::isOk(error)) {
    report("cannot begin", error);
    return 1;
  }
  counting.begin();
  while (options.seconds <= 0 || static_cast<double>(waystation::port::uptimeMs()) < options.seconds * 1000) {
    node.loop();
    if (!counting.loop(options.period)) return 1;
    if (waystation::port::host.hasRebooted) return kReboot;
    delay(2);
  }
  return 0;
}
