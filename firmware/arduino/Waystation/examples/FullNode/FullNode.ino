// Every service: readings, log, commands, files, sync packages and new firmware.

#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
// The boot loader waits for the new image to prove itself; without this the core calls every image good at once.
extern "C" bool verifyRollbackLater() { return true; }
#endif
#include <Waystation.h>

WiFiClient tcp;
WiFiClient secondTcp;
waystation::NodeWith<2048> node(tcp);
waystation::LineWith<1024> second(secondTcp);
waystation::Telemetry telemetry(node);
waystation::Messages messages(node);
waystation::Commands commands(node, &second);
waystation::Files files(node);
waystation::Ota ota;
waystation::Packages packages(node, &ota);

uint32_t everyMs = 10000;

waystation::Outcome setInterval(void*, const waystation::Command& command, waystation::JsonWriter& result) {
  int64_t seconds = 0;
  if (!command.parameters["seconds"].whole(seconds) || seconds < 1 || seconds > 3600) return waystation::Outcome::Rejected;
  result.object().member("was", everyMs / 1000).end();
  everyMs = static_cast<uint32_t>(seconds) * 1000;
  return waystation::Outcome::Done;
}

waystation::Outcome upload(void*, const waystation::Command& command, waystation::JsonWriter& result) {
  char path[64];
  if (!command.parameters["path"].text(path, sizeof path)) return waystation::Outcome::Rejected;
  const waystation::Error error = files.send(path);
  if (waystation::isOk(error)) return waystation::Outcome::Done;
  result.object().member("error", waystation::text(error)).end();
  return waystation::Outcome::Failed;
}

// Called when a package is in force; anything but None takes it back.
waystation::Error deploy(void*, const waystation::Package& package) {
  char path[96];
  if (strcmp(package.type, "config") == 0 && !packages.path("config", "settings.json", path, sizeof path)) {
    return waystation::Error::NotFound;
  }
  messages.info("package %s %s is in force", package.name, package.version);
  return waystation::Error::None;
}

void setup() {
  commands.on("set-interval", setInterval);
  commands.on("upload", upload);
  packages.onDeploy(deploy);
  waystation::Settings settings;
  settings.wifiName = "barn";
  settings.wifiPassword = "correct horse battery staple";
  settings.server = "http://192.168.1.10:8000";
  settings.claimCode = "ABCD-EFGH-JKLM";
  settings.name = "Barn";
  settings.model = "full-node";
  node.begin(settings);
}

void loop() {
  node.loop();
  static unsigned long sampledAt = 0;
  if (millis() - sampledAt < everyMs) return;
  sampledAt = millis();
  waystation::Reading reading;
  reading.add("uptime_seconds", millis() / 1000).add("waiting", telemetry.waiting());
  telemetry.add(reading);
}
