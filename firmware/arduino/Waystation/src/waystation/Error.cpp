#include "Error.h"

namespace waystation {

const char* text(Error error) {
  switch (error) {
    case Error::None: return "fine";
    case Error::NoNetwork: return "there is no network";
    case Error::NoConnection: return "the hub cannot be reached";
    case Error::TimedOut: return "the hub did not answer in time";
    case Error::Closed: return "the connection ended too early";
    case Error::BadAnswer: return "the answer cannot be understood";
    case Error::TooLarge: return "it is larger than the buffer for it";
    case Error::Refused: return "the hub refuses the credential";
    case Error::Unknown: return "the hub does not know it";
    case Error::Rejected: return "the hub refuses it for good";
    case Error::Busy: return "the hub is busy";
    case Error::HubFault: return "the hub has a fault";
    case Error::BadInput: return "the sketch asked for what cannot be";
    case Error::Flash: return "the file system failed";
    case Error::FlashFull: return "the flash is full";
    case Error::NotFound: return "there is no such file";
    case Error::Damaged: return "a checksum is wrong";
  }
  return "unknown";
}

}  // namespace waystation
