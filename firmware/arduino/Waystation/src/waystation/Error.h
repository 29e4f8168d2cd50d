// What can go wrong, as a value. Nothing in this library throws, and nothing asks the heap for memory.
#pragma once

#include <stdint.h>

namespace waystation {

enum class Error : uint8_t {
  None,
  NoNetwork,     // Wi-Fi is down
  NoConnection,  // nobody listens at the hub's address
  TimedOut,      // it did not answer in time
  Closed,        // the connection ended in the middle
  BadAnswer,     // what came is not HTTP, or not the JSON that we know
  TooLarge,      // it does not fit into the buffer that is there for it
  Refused,       // 401, 403: the credential is wrong, expired or revoked
  Unknown,       // 404, 410: the hub does not know it
  Rejected,      // any other 4xx: it would be refused again
  Busy,          // 408, 423, 425, 429, 503, 507: later
  HubFault,      // any other 5xx
  BadInput,      // the sketch asked for something that cannot be
  Flash,         // the file system failed
  FlashFull,
  NotFound,  // no such file
  Damaged,   // a checksum or a hash is wrong
};

// A sentence without a full stop, for logs.
const char* text(Error error);

inline bool isOk(Error error) { return error == Error::None; }

}  // namespace waystation
