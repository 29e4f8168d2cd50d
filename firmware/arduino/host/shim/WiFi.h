#pragma once

#include <WiFiClient.h>
