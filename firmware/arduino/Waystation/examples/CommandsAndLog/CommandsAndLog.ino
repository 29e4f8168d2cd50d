// A relay that the hub switches at once, and that says so in the log.

#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Waystation.h>

constexpr int kRelay = 5;

WiFiClient tcp;
WiFiClient secondTcp;  // over which a call for commands is held open
waystation::NodeWith<1536> node(tcp);
waystation::LineWith<1024> second(secondTcp);
waystation::Messages messages(node);
waystation::Commands commands(node, &second);

// {"name": "switch", "parameters": {"on": true}}
waystation::Outcome switchRelay(void*, const waystation::Command& command, waystation::JsonWriter& result) {
  bool on = false;
  if (!command.parameters["on"].boolean(on)) {
    result.object().member("error", "on is true or false").end();
    return waystation::Outcome::Rejected;
  }
  digitalWrite(kRelay, on ? HIGH : LOW);
  messages.info("the relay is %s", on ? "on" : "off");
  return waystation::Outcome::Done;
}

void report(const char* what, waystation::Error error) { Serial.printf("%s: %s\n", what, waystation::text(error)); }

void setup() {
  Serial.begin(115200);
  pinMode(kRelay, OUTPUT);
  commands.on("switch", switchRelay);
  waystation::Settings settings;
  settings.wifiName = "barn";
  settings.wifiPassword = "correct horse battery staple";
  settings.server = "http://192.168.1.10:8000";
  settings.claimCode = "ABCD-EFGH-JKLM";
  settings.name = "Relay";
  settings.report = report;
  report("begin", node.begin(settings));
}

void loop() { node.loop(); }
