#include "Line.h"

#include "Service.h"

namespace waystation {

Line::Line(Client& client, char* buffer, size_t room) : client_(client), buffer_(buffer, room), reader_(answer_, *this) {}

void Line::start(Service& service, const Address& hub, const char* authorization) {
  buffer_.clear();
  Request request(buffer_, hub, authorization);
  service.ask(request);
  service_ = &service;
  hub_ = &hub;
  sent_ = 0;
  fileLeft_ = request.fileBytes();
  patienceMs_ = request.patienceMs();
  isHeadRequest_ = request.isHead();
  isReused_ = wasStale_ = isStreamed_ = false;
  reader_.begin(isHeadRequest_);
  moved();
  phase_ = Phase::Connect;
  if (!request.finish()) answer_.error = Error::TooLarge;
}

bool Line::step() {
  switch (phase_) {
    case Phase::Idle: return false;
    case Phase::Connect: return connect();
    case Phase::Send: return send();
    case Phase::SendFile: return sendFile();
    case Phase::Receive: return receive();
  }
  return false;
}

void Line::abandon() {
  client_.stop();
  phase_ = Phase::Idle;
}

bool Line::connect() {
  if (!isOk(answer_.error)) return end(answer_.error);
  endIfClosed();
  isReused_ = client_.connected() != 0;
  if (!isReused_) {
    const Error error = port::connect(client_, hub_->host, hub_->port, kConnectMs);
    if (!isOk(error)) return end(error);
  }
  moved();
  phase_ = Phase::Send;
  return false;
}

// A hub that has closed a kept connection shows it by the end of the stream; leftovers mean that we lost count.
void Line::endIfClosed() {
  if (client_.connected() && client_.available() > 0) client_.stop();
}

bool Line::send() {
  const size_t left = buffer_.size() - sent_;
  const size_t part = left < kPieceBytes ? left : kPieceBytes;
  const size_t gone = client_.write(reinterpret_cast<const uint8_t*>(buffer_.text()) + sent_, part);
  if (gone > 0) moved();
  sent_ += gone;
  if (sent_ == buffer_.size()) {
    buffer_.clear();
    phase_ = fileLeft_ > 0 ? Phase::SendFile : Phase::Receive;
    return false;
  }
  if (gone > 0) return false;
  return client_.connected() ? isLate() : end(Error::Closed);
}

bool Line::sendFile() {
  if (client_.available() > 0) {  // it has heard enough: most likely a refusal
    answer_.closes = true;
    phase_ = Phase::Receive;
    return false;
  }
  uint8_t piece[kPieceBytes];
  const size_t wanted = fileLeft_ < sizeof piece ? fileLeft_ : sizeof piece;
  const size_t size = service_->body(piece, wanted);
  if (size == 0 || size > wanted) return end(Error::Flash);
  size_t gone = 0;
  while (gone < size) {
    const size_t part = client_.write(piece + gone, size - gone);
    if (part > 0) moved();
    gone += part;
    if (part > 0) continue;
    if (!client_.connected()) return end(Error::Closed);
    if (isLate()) return true;
    yield();
  }
  fileLeft_ -= static_cast<uint32_t>(size);
  if (fileLeft_ == 0) phase_ = Phase::Receive;
  return false;
}

bool Line::receive() {
  uint8_t piece[kPieceBytes];
  if (client_.available() > 0) {
    const int got = client_.read(piece, sizeof piece);
    if (got > 0) {
      moved();
      reader_.feed(piece, static_cast<size_t>(got));
    }
  } else if (!client_.connected()) {
    wasStale_ = isReused_ && reader_.isUntouched();
    reader_.feedEnd();
  }
  if (reader_.isDone()) return end(answer_.error);
  if (!reader_.isBad()) return isLate();
  if (isOk(answer_.error)) answer_.error = client_.connected() ? Error::BadAnswer : Error::Closed;
  return end(answer_.error);
}

bool Line::isLate() {
  if (port::uptimeMs() - movedAtMs_ < patienceMs_) return false;
  return end(Error::TimedOut);
}

bool Line::end(Error error) {
  answer_.error = error;
  answer_.body = buffer_.text();
  answer_.size = buffer_.size();
  if (!reader_.isDone() || answer_.closes) client_.stop();
  if (!reader_.isDone()) answer_.status = 0;
  phase_ = Phase::Idle;
  return true;
}

bool Line::headIsHere(const Answer& answer) {
  isStreamed_ = isOk(answer.error) && service_->streams(answer);
  return true;
}

bool Line::bodyComes(const uint8_t* bytes, size_t size) {
  if (isStreamed_) {
    answer_.error = service_->take(bytes, size);
    return isOk(answer_.error);
  }
  buffer_.add(reinterpret_cast<const char*>(bytes), size);
  answer_.isCut = buffer_.isCut();
  return true;
}

}  // namespace waystation
