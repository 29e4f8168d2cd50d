#include "Files.h"

#include "Flash.h"
#include "Node.h"

namespace waystation {

namespace {

constexpr size_t kHashedAtOnce = 512;
constexpr const char* kTus = "Tus-Resumable";
constexpr const char* kTusVersion = "1.0.0";

void addBase64(Writer& to, const char* words) {
  const char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t left = strlen(words); left > 0; left -= left < 3 ? left : 3, words += 3) {
    const auto byte = [&](size_t i) { return i < left ? static_cast<uint32_t>(static_cast<uint8_t>(words[i])) : 0U; };
    const uint32_t three = byte(0) << 16 | byte(1) << 8 | byte(2);
    to.add(kLetters[three >> 18]).add(kLetters[(three >> 12) & 63]);
    to.add(left > 1 ? kLetters[(three >> 6) & 63] : '=').add(left > 2 ? kLetters[three & 63] : '=');
    if (left < 3) break;
  }
}

// The path of an address that may be whole.
const char* pathOf(const char* location) {
  const char* scheme = strstr(location, "://");
  if (scheme == nullptr) return location;
  const char* path = strchr(scheme + 3, '/');
  return path == nullptr ? "" : path;
}

}  // namespace

Error Files::begin() {
  record_.read(&kept_, sizeof kept_);
  pace_ = Pace(node_.settings().retryMs, node_.settings().retryMostMs);
  next();
  return Error::None;
}

Error Files::send(const char* path, const char* name) {
  const int32_t size = flash::sizeOf(path);
  if (size < 0) return Error::NotFound;
  const uint32_t place = waiting();
  if (place == kWaiting) return Error::Busy;
  const char* slash = strrchr(path, '/');
  Upload made = {};
  made.size = static_cast<uint32_t>(size);
  if (name == nullptr) name = slash == nullptr ? path : slash + 1;
  if (!copy(made.path, sizeof made.path, path) || !copy(made.name, sizeof made.name, name)) return Error::TooLarge;
  kept_.uploads[place] = made;
  const Error error = record_.write(&kept_, sizeof kept_);
  if (!isOk(error)) kept_.uploads[place] = Upload{};
  if (step_ == Step::Nothing) next();
  return error;
}

void Files::onSent(Sent sent, void* context) {
  sent_ = sent;
  context_ = context;
}

uint32_t Files::waiting() const {
  uint32_t count = 0;
  while (count < kWaiting && kept_.uploads[count].path[0] != 0) ++count;
  return count;
}

void Files::next() {
  offset_ = 0;
  sum_.begin();
  if (waiting() == 0) {
    step_ = Step::Nothing;
  } else if (upload().place[0] != 0) {
    step_ = Step::Ask;
  } else {
    step_ = upload().size <= kWholeBytes ? Step::Hash : Step::Create;
  }
}

void Files::tick() {
  if (step_ != Step::Hash) return;
  uint8_t piece[kHashedAtOnce];
  size_t got = 0;
  const Error error = flash::read(upload().path, offset_, piece, sizeof piece, got);
  if (!isOk(error)) {
    end(error);
    return;
  }
  sum_.add(piece, got);
  offset_ += static_cast<uint32_t>(got);
  if (got == sizeof piece) return;
  sum_.hex(sha256_);
  upload().size = offset_;
  step_ = Step::Whole;
}

bool Files::wants() { return step_ >= Step::Whole && pace_.isDue(); }

void Files::ask(Request& request) {
  switch (step_) {
    case Step::Whole: askWhole(request); break;
    case Step::Create: askCreate(request); break;
    case Step::Part: askPart(request); break;
    default:
      request.line("HEAD").add(upload().place);
      request.header(kTus).add(kTusVersion);
  }
}

void Files::askWhole(Request& request) {
  request.line("POST").add("/api/uploads/whole?name=").addEscaped(upload().name).add("&sha256=").add(sha256_);
  request.file("application/octet-stream", upload().size);
  offset_ = 0;
}

void Files::askCreate(Request& request) {
  request.line("POST").add("/api/uploads");
  request.header(kTus).add(kTusVersion);
  request.header("Upload-Length").add(upload().size);
  addBase64(request.header("Upload-Metadata").add("filename "), upload().name);
  request.header("Content-Length").add(0);
}

void Files::askPart(Request& request) {
  const uint32_t left = upload().size - offset_;
  request.line("PATCH").add(upload().place);
  request.header(kTus).add(kTusVersion);
  request.header("Upload-Offset").add(offset_);
  request.file("application/offset+octet-stream", left < kPartBytes ? left : kPartBytes);
}

size_t Files::body(uint8_t* into, size_t room) {
  size_t got = 0;
  if (!isOk(flash::read(upload().path, offset_, into, room, got))) return 0;
  offset_ += static_cast<uint32_t>(got);
  return got;
}

void Files::answered(const Answer& answer) {
  if (!isOk(answer.error)) {
    fail(answer);
    return;
  }
  pace_.succeeded();
  switch (step_) {
    case Step::Whole: end(Error::None); break;
    case Step::Create: created(answer); break;
    default: hasCome(answer); break;
  }
}

void Files::created(const Answer& answer) {
  const char* place = pathOf(answer.location);
  if (place[0] != '/' || !copy(upload().place, sizeof upload().place, place)) {
    upload().place[0] = 0;
    pace_.failed();
    return;
  }
  record_.write(&kept_, sizeof kept_);
  offset_ = 0;
  step_ = upload().size == 0 ? Step::Ask : Step::Part;
}

void Files::hasCome(const Answer& answer) {
  if (answer.uploadOffset < 0 || answer.uploadOffset > static_cast<int64_t>(upload().size)) {
    pace_.failed();
    return;
  }
  offset_ = static_cast<uint32_t>(answer.uploadOffset);
  if (offset_ == upload().size) {
    end(Error::None);
  } else {
    step_ = Step::Part;
  }
}

void Files::fail(const Answer& answer) {
  const bool isLarge = upload().place[0] != 0;
  if (isLarge && answer.error == Error::Unknown) {  // it rested too long at the hub: from the beginning
    upload().place[0] = 0;
    record_.write(&kept_, sizeof kept_);
    step_ = Step::Create;
    pace_.failed();
  } else if (answer.status == 409) {  // it has another part than we think; or, of a whole file, what arrived was damaged
    step_ = isLarge ? Step::Ask : Step::Whole;
    pace_.failed();
  } else if (answer.error == Error::Rejected || answer.error == Error::Flash || answer.error == Error::TooLarge) {
    end(answer.error);
  } else {
    if (isLarge) step_ = Step::Ask;
    pace_.failed(answer.retryAfterSeconds * 1000);
  }
}

void Files::end(Error error) {
  char path[kPathRoom];
  copy(path, sizeof path, upload().path);
  for (size_t i = 0; i + 1 < kWaiting; ++i) kept_.uploads[i] = kept_.uploads[i + 1];
  kept_.uploads[kWaiting - 1] = Upload{};
  record_.write(&kept_, sizeof kept_);
  if (!isOk(error)) node_.report("a file cannot be sent", error);
  next();
  if (sent_ != nullptr) sent_(context_, path, error);
}

}  // namespace waystation
