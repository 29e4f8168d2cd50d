#include "Ota.h"

#include "Port.h"

namespace waystation {

Error Ota::begin() {
  if (!isOk(record_.read(&kept_, sizeof kept_)) || kept_.package[0] == 0) return Error::None;
  char running[kImageRoom];
  port::runningImage(running, sizeof running);
  trial_ = same(running, kept_.before) ? Trial::FellBack : Trial::Runs;
  return Error::None;
}

Error Ota::decide() {
  if (trial_ == Trial::Runs) port::imageIsGood();
  trial_ = Trial::None;
  kept_ = Kept{};
  return record_.write(&kept_, sizeof kept_);
}

Error Ota::open(uint32_t size) {
  abort();
  const Error error = port::imageBegin(size);
  isOpen_ = isOk(error);
  return error;
}

Error Ota::write(const uint8_t* bytes, size_t size) { return isOpen_ ? port::imageWrite(bytes, size) : Error::BadInput; }

Error Ota::start(const char* package) {
  Kept made = {};
  copy(made.package, sizeof made.package, package);
  port::runningImage(made.before, sizeof made.before);
  Error error = record_.write(&made, sizeof made);
  if (isOk(error)) error = port::imageEnd();
  isOpen_ = false;
  return error;
}

void Ota::abort() {
  if (isOpen_) port::imageAbort();
  isOpen_ = false;
}

}  // namespace waystation
