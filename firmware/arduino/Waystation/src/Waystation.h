// Waystation for ESP8266 and ESP32: see waystation/Node.h for how a sketch begins, and the header of each service for
// its story.
#pragma once

#include "waystation/Node.h"
#include "waystation/Telemetry.h"
#include "waystation/Messages.h"
#include "waystation/Commands.h"
#include "waystation/Files.h"
#include "waystation/Packages.h"
