#include "Http.h"

#include "Clock.h"

namespace waystation {

namespace {

constexpr uint32_t kMostHeaders = 64;
constexpr size_t kLengthDigits = 10;

bool isSameWord(const char* a, const char* b, size_t size) {  // whatever their case
  for (size_t i = 0; i < size; ++i) {
    const char x = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] + 32) : a[i];
    const char y = b[i] >= 'A' && b[i] <= 'Z' ? static_cast<char>(b[i] + 32) : b[i];
    if (x != y) return false;
  }
  return true;
}

bool holdsWord(const char* words, const char* word) {
  const size_t size = strlen(word);
  for (size_t left = strlen(words); left >= size; --left, ++words) {
    if (isSameWord(words, word, size)) return true;
  }
  return false;
}

// Digits and nothing else, at most 18 of them; -1 otherwise.
int64_t wholeNumber(const char* words) {
  int64_t found = 0;
  size_t digits = 0;
  for (; words[digits] >= '0' && words[digits] <= '9' && digits < 18; ++digits) found = found * 10 + (words[digits] - '0');
  return digits == 0 || words[digits] != 0 ? -1 : found;
}

}  // namespace

Error Address::parse(const char* url) {
  isSecure = strncmp(url, "https://", 8) == 0;
  if (!isSecure && strncmp(url, "http://", 7) != 0) return Error::BadInput;
  const char* at = url + (isSecure ? 8 : 7);
  const size_t hostSize = strcspn(at, ":/");
  Writer toHost(host, sizeof host);
  toHost.add(at, hostSize);
  at += hostSize;
  uint32_t number = isSecure ? 443 : 80;
  if (*at == ':') {
    number = 0;
    for (++at; *at >= '0' && *at <= '9' && number < 65536; ++at) number = number * 10 + static_cast<uint32_t>(*at - '0');
  }
  Writer toPrefix(prefix, sizeof prefix);
  toPrefix.add(at);
  if (toPrefix.size() > 0 && prefix[toPrefix.size() - 1] == '/') toPrefix.cutTo(toPrefix.size() - 1);
  const bool isGood = !toHost.isEmpty() && !toHost.isCut() && !toPrefix.isCut() && number > 0 && number < 65536 &&
                      (*at == 0 || *at == '/');
  port = static_cast<uint16_t>(number);
  return isGood ? Error::None : Error::BadInput;
}

Writer& Request::line(const char* method) {
  isHead_ = same(method, "HEAD");
  at_ = At::Line;
  return to_.add(method).add(' ').add(hub_.prefix);
}

void Request::endLine() {
  if (at_ == At::Line) {
    to_.add(" HTTP/1.1\r\nHost: ").add(hub_.host).add(':').add(hub_.port);
    if (authorization_[0] != 0) to_.add("\r\nAuthorization: ").add(authorization_);
  }
  to_.add("\r\n");
}

Writer& Request::header(const char* name) {
  endLine();
  at_ = At::Header;
  return to_.add(name).add(": ");
}

// The length is not known yet: blanks are left for it, which may stand before a header's value.
Writer& Request::body(const char* type) {
  header("Content-Type").add(type);
  header("Content-Length");
  lengthAt_ = to_.size();
  to_.add("          ", kLengthDigits).add("\r\n\r\n");
  bodyAt_ = to_.size();
  at_ = At::Body;
  return to_;
}

void Request::file(const char* type, uint32_t size) {
  header("Content-Type").add(type);
  header("Content-Length").add(size);
  fileBytes_ = size;
  to_.add("\r\n\r\n");
  at_ = At::File;
}

bool Request::finish() {
  if (at_ == At::Line || at_ == At::Header) {
    endLine();
    to_.add("\r\n");
  } else if (at_ == At::Body && !to_.isCut()) {
    char* digits = const_cast<char*>(to_.text()) + lengthAt_;
    size_t number = to_.size() - bodyAt_;
    for (size_t i = kLengthDigits; i-- > 0 && (number > 0 || i == kLengthDigits - 1); number /= 10) {
      digits[i] = static_cast<char>('0' + static_cast<char>(number % 10));
    }
  }
  return !to_.isCut() && at_ != At::Nothing;
}

Error errorOf(uint16_t status) {
  if (status >= 200 && status < 300) return Error::None;
  switch (status) {
    case 401:
    case 403: return Error::Refused;
    case 404:
    case 410: return Error::Unknown;
    case 408:
    case 423:  // another call of ours is still under way, or the hub has not heard yet that it broke off
    case 425:
    case 429:
    case 503:
    case 507: return Error::Busy;
    default: break;
  }
  if (status >= 400 && status < 500) return Error::Rejected;
  return status >= 500 && status < 600 ? Error::HubFault : Error::BadAnswer;
}

void AnswerReader::begin(bool isHeadRequest) {
  answer_ = Answer();
  at_ = At::Status;
  isHeadRequest_ = isHeadRequest;
  isChunked_ = isLineCut_ = false;
  left_ = 0;
  headers_ = 0;
  lineSize_ = 0;
}

void AnswerReader::feed(const uint8_t* bytes, size_t size) {
  while (size > 0 && at_ != At::Done && at_ != At::Bad) {
    size_t taken = 1;
    if (at_ == At::Body || at_ == At::UntilEnd || at_ == At::ChunkBody) {
      taken = takeBody(bytes, size);
    } else if (*bytes == '\n') {
      takeLine();
    } else if (lineSize_ < kLineRoom - 1) {
      line_[lineSize_++] = static_cast<char>(*bytes);
    } else {
      isLineCut_ = true;
    }
    bytes += taken;
    size -= taken;
  }
  if (size > 0) answer_.closes = true;  // more than we asked for: nothing on this connection is to be believed any more
}

void AnswerReader::feedEnd() {
  if (at_ == At::UntilEnd) {
    at_ = At::Done;
  } else if (at_ != At::Done) {
    at_ = At::Bad;
  }
}

void AnswerReader::takeLine() {
  if (lineSize_ > 0 && line_[lineSize_ - 1] == '\r') --lineSize_;
  line_[lineSize_] = 0;
  const size_t size = lineSize_;
  lineSize_ = 0;
  switch (at_) {
    case At::Status: takeStatus(); break;
    case At::Header:
      if (size == 0) {
        headEnds();
      } else if (++headers_ > kMostHeaders) {
        at_ = At::Bad;
      } else if (!isLineCut_) {
        takeHeader();
      }
      break;
    case At::ChunkSize: takeChunkSize(); break;
    case At::ChunkEnd: at_ = size == 0 ? At::ChunkSize : At::Bad; break;
    case At::Trailer:
      if (size == 0) at_ = At::Done;
      if (++headers_ > kMostHeaders) at_ = At::Bad;
      break;
    default: break;
  }
  isLineCut_ = false;
}

void AnswerReader::takeStatus() {
  const bool isHttp = strncmp(line_, "HTTP/1.", 7) == 0 && line_[7] != 0 && line_[8] == ' ';
  int status = 0;
  for (int i = 9; isHttp && i < 12; ++i) {
    if (line_[i] < '0' || line_[i] > '9') {
      at_ = At::Bad;
      return;
    }
    status = status * 10 + (line_[i] - '0');
  }
  if (status < 100) {
    at_ = At::Bad;
    return;
  }
  answer_.status = static_cast<uint16_t>(status);
  if (line_[7] == '0') answer_.closes = true;
  at_ = At::Header;
}

const char* AnswerReader::valueOf(const char* name) const {
  const size_t size = strlen(name);
  if (!isSameWord(line_, name, size) || line_[size] != ':') return nullptr;
  const char* value = line_ + size + 1;
  while (*value == ' ' || *value == '\t') ++value;
  return value;
}

void AnswerReader::takeHeader() {
  if (const char* value = valueOf("content-length")) {
    const int64_t length = wholeNumber(value);
    if (length < 0 || (answer_.length >= 0 && answer_.length != length)) at_ = At::Bad;
    answer_.length = length;
  } else if (const char* coding = valueOf("transfer-encoding")) {
    isChunked_ = holdsWord(coding, "chunked");
    if (!isChunked_) at_ = At::Bad;
  } else if (const char* connection = valueOf("connection")) {
    if (holdsWord(connection, "close")) answer_.closes = true;
  } else if (const char* date = valueOf("date")) {
    answer_.dateMs = parseHttpDate(date);
  } else if (const char* seconds = valueOf("retry-after")) {
    const int64_t wait = wholeNumber(seconds);
    if (wait > 0) answer_.retryAfterSeconds = wait > 3600 ? 3600 : static_cast<uint32_t>(wait);
  } else if (const char* offset = valueOf("upload-offset")) {
    answer_.uploadOffset = wholeNumber(offset);
  } else if (const char* location = valueOf("location")) {
    if (!copy(answer_.location, sizeof answer_.location, location)) answer_.location[0] = 0;
  }
}

void AnswerReader::headEnds() {
  const uint16_t status = answer_.status;
  if (status < 200) {  // 100 Continue and its like: the answer is still to come
    answer_ = Answer();
    isChunked_ = false;
    at_ = status == 101 ? At::Bad : At::Status;
    return;
  }
  answer_.error = errorOf(status);
  if (!sink_.headIsHere(answer_)) {
    at_ = At::Bad;
    return;
  }
  if (isHeadRequest_ || status == 204 || status == 304) {
    at_ = At::Done;
  } else if (isChunked_) {
    at_ = At::ChunkSize;
  } else if (answer_.length >= 0) {
    left_ = static_cast<uint64_t>(answer_.length);
    at_ = left_ == 0 ? At::Done : At::Body;
  } else {
    answer_.closes = true;
    at_ = At::UntilEnd;
  }
}

void AnswerReader::takeChunkSize() {
  left_ = 0;
  size_t digits = 0;
  for (; digits < 8; ++digits) {
    const char letter = line_[digits];
    int digit = -1;
    if (letter >= '0' && letter <= '9') digit = letter - '0';
    if (letter >= 'a' && letter <= 'f') digit = letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F') digit = letter - 'A' + 10;
    if (digit < 0) break;
    left_ = left_ * 16 + static_cast<uint64_t>(digit);
  }
  const char after = line_[digits];
  if (digits == 0 || (after != 0 && after != ';' && after != ' ')) {
    at_ = At::Bad;
  } else {
    at_ = left_ == 0 ? At::Trailer : At::ChunkBody;
  }
}

size_t AnswerReader::takeBody(const uint8_t* bytes, size_t size) {
  if (at_ != At::UntilEnd && size > left_) size = static_cast<size_t>(left_);
  if (!sink_.bodyComes(bytes, size)) {
    at_ = At::Bad;
    return size;
  }
  if (at_ == At::UntilEnd) return size;
  left_ -= size;
  if (left_ == 0) at_ = at_ == At::Body ? At::Done : At::ChunkEnd;
  return size;
}

}  // namespace waystation
