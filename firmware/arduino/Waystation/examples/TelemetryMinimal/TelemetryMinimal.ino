// A reading every ten seconds, that arrives whatever happens to the network.

#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Waystation.h>

WiFiClient tcp;
waystation::NodeWith<1536> node(tcp);
waystation::Telemetry telemetry(node);

void setup() {
  waystation::Settings settings;
  settings.wifiName = "barn";
  settings.wifiPassword = "correct horse battery staple";
  settings.server = "http://192.168.1.10:8000";
  settings.claimCode = "ABCD-EFGH-JKLM";  // the hub's page "Add a device" gives one; it may stay here
  settings.name = "Barn";
  node.begin(settings);
}

void loop() {
  node.loop();
  static unsigned long sampledAt = 0;
  if (millis() - sampledAt < 10000) return;
  sampledAt = millis();
  telemetry.add("uptime_seconds", millis() / 1000);
}
