// One of each, so that the size of its symbol tells how much memory it takes.
#include <Waystation.h>

extern Client& client;
waystation::NodeWith<2048> node(client);
waystation::LineWith<1024> second_line(client);
waystation::Telemetry telemetry(node);
waystation::Messages messages(node);
waystation::Commands commands(node);
waystation::Files files(node);
waystation::Packages packages(node);
waystation::Ota ota;
