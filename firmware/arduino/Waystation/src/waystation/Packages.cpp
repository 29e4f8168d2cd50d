#include "Packages.h"

#include "Flash.h"
#include "Node.h"

namespace waystation {

namespace {

constexpr size_t kLookedAtOnce = 512;
constexpr uint32_t kFlushBytes = 8192;  // what a power cut may take back of a member
constexpr uint8_t kMostTries = 2;

const char* const kTypes[] = {"config", "data", "script", "firmware"};

const char* known(const char* type) {
  for (const char* one : kTypes) {
    if (same(one, type)) return one;
  }
  return nullptr;
}

// A relative path without a way out of its folder.
bool isSafe(const char* name) {
  if (name[0] == 0 || name[0] == '/') return false;
  for (const char* part = name; part != nullptr; part = strchr(part, '/')) {
    if (*part == '/') ++part;
    const size_t size = strcspn(part, "/");
    const bool isDots = (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.');
    if (size == 0 || isDots) return false;
  }
  for (; *name; ++name) {
    if (static_cast<uint8_t>(*name) < 0x20 || *name == '\\') return false;
  }
  return true;
}

void pathIn(Writer& to, const char* type, char folder) {
  to.clear();
  to.add("/ws/").add(type).add('/').add(folder);
}

}  // namespace

void Packages::onDeploy(Deploy action, void* context) {
  deploy_ = action;
  context_ = context;
}

bool Packages::path(const char* type, const char* name, char* into, size_t room) {
  Pointer pointer = {};
  const char* ours = known(type);
  if (ours == nullptr || !isOk(Record(ours).read(&pointer, sizeof pointer)) || pointer.active == 0) return false;
  Writer to(into, room);
  pathIn(to, ours, pointer.active);
  to.add('/').add(name);
  return !to.isCut() && flash::exists(into);
}

Error Packages::begin() {
  pace_ = Pace(node_.settings().retryMs, node_.settings().retryMostMs);
  if (ota_ == nullptr) return Error::None;
  const Error error = ota_->begin();
  if (ota_->trial() == Ota::Trial::None) return error;
  isTrial_ = true;
  copy(package_.id, sizeof package_.id, ota_->package());
  const bool runs = ota_->trial() == Ota::Trial::Runs;
  say(runs ? "deployed" : "failed", runs ? "" : "the board came back with its old image", true);
  return error;
}

void Packages::tick() {
  if (step_ == Step::Begin) begun();
  if (step_ == Step::Look) look();
}

bool Packages::wants() { return step_ != Step::Begin && step_ != Step::Look && pace_.isDue(); }

void Packages::ask(Request& request) {
  if (step_ == Step::Ask) {
    request.line("GET").add("/api/packages/next");
  } else if (step_ == Step::Page) {
    request.line("GET").add("/api/packages/next?id=").addEscaped(package_.id).add("&from=").add(at_);
  } else if (step_ == Step::Fetch) {
    request.line("GET").add("/api/blobs/").add(member().sha256);
    if (have_ == 0) return;
    request.header("Range").add("bytes=").add(have_).add('-');
    request.header("If-Range").add('"').add(member().sha256).add('"');
  } else {
    request.line("POST").add("/api/packages/report");
    JsonWriter json(request.body("application/json"));
    json.object().member("id", package_.id).member("state", state_);
    json.member("done_bytes", doneBytes_).member("detail", detail_.text()).end();
  }
}

void Packages::answered(const Answer& answer) {
  if (step_ == Step::Fetch) {
    fetched(answer);
  } else if (step_ == Step::Report) {
    reported(answer);
  } else if (!isOk(answer.error)) {
    step_ = Step::Ask;
    pace_.failed(answer.retryAfterSeconds * 1000);
  } else {
    pace_.succeeded();
    takeOffer(answer);
  }
}

void Packages::takeOffer(const Answer& answer) {
  const Json offer = Json(answer.body, answer.size)["package"];
  if (step_ == Step::Page) {
    readMembers(offer["members"]);
    if (offer["id"].is(package_.id) && pageCount_ > 0) {
      openMember();
    } else {
      giveUp("its members cannot be read");
    }
    return;
  }
  if (!offer.isObject()) {
    pace_.wait(everyMs_);
    return;
  }
  at_ = 0;
  doneBytes_ = 0;
  if (!readOffer(offer)) {
    giveUp("this device cannot read the package");
  } else if (isFirmware() && ota_ == nullptr) {
    giveUp("this device takes no firmware");
  } else {
    readMembers(offer["members"]);
    step_ = Step::Begin;
  }
}

bool Packages::readOffer(const Json& offer) {
  int64_t count = 0;
  int64_t total = 0;
  const bool isRead = offer["id"].text(package_.id, sizeof package_.id) && offer["type"].text(package_.type, sizeof package_.type) &&
                      offer["manifest_sha256"].text(package_.manifest, sizeof package_.manifest) &&
                      offer["count"].whole(count) && offer["total_bytes"].whole(total) && count >= 0 && total >= 0;
  offer["name"].text(package_.name, sizeof package_.name);
  offer["version"].text(package_.version, sizeof package_.version);
  package_.count = static_cast<uint32_t>(count);
  package_.totalBytes = static_cast<uint64_t>(total);
  type_ = isRead ? known(package_.type) : nullptr;
  return type_ != nullptr;
}

// As many as are there whole, and as there is room for.
void Packages::readMembers(const Json& members) {
  pageFrom_ = at_;
  pageCount_ = 0;
  for (Json one = members.first(); one.found() && pageCount_ < kPage; one = one.next()) {
    Member& member = page_[pageCount_];
    int64_t size = 0;
    if (!one["sha256"].text(member.sha256, sizeof member.sha256) || strlen(member.sha256) != 64) return;
    if (!one["size_bytes"].whole(size) || size < 0 || size > INT32_MAX) return;
    if (!one["name"].text(member.name, sizeof member.name)) return;
    member.size = static_cast<uint32_t>(size);
    ++pageCount_;
  }
}

void Packages::begun() {
  Record record(type_);
  pointer_ = Pointer{};
  record.read(&pointer_, sizeof pointer_);
  if (same(pointer_.id, package_.id) && same(pointer_.manifest, package_.manifest)) {  // the report was lost
    doneBytes_ = package_.totalBytes;
    if (pointer_.isProven) {
      say("deployed", "", true);
    } else {
      deploy();
    }
    return;
  }
  if (!same(pointer_.fetching, package_.id)) {
    Text<24> folder;
    pathIn(folder, type_, pointer_.other());
    flash::removeFolder(folder.text());
    copy(pointer_.fetching, sizeof pointer_.fetching, package_.id);
    record.write(&pointer_, sizeof pointer_);
    if (!isFirmware() && package_.totalBytes > port::freeFlashBytes()) {
      giveUp("it is larger than the free flash");
      return;
    }
  }
  manifestSum_.begin();
  tries_ = 0;
  say("deploying", "", false);
}

void Packages::nextMember() {
  if (at_ == package_.count) {
    wholeIsHere();
  } else if (at_ < pageFrom_ + pageCount_) {
    openMember();
  } else {
    step_ = Step::Page;
  }
}

void Packages::openMember() {
  if (!isSafe(member().name)) {
    giveUp("this name is not a relative path: ", member().name);
    return;
  }
  have_ = 0;
  memberSum_.begin();
  if (isFirmware()) {
    const Error error = package_.count == 1 ? ota_->open(member().size) : Error::BadInput;
    if (!isOk(error)) giveUp("the image cannot be written: ", text(error));
    if (isOk(error)) step_ = Step::Fetch;
    return;
  }
  pathIn(path_, type_, pointer_.other());
  path_.add('/').add(member().name);
  if (path_.isCut() || !isOk(flash::makeFolderOf(path_.text()))) {
    giveUp("there can be no file called ", member().name);
    return;
  }
  const int32_t there = flash::sizeOf(path_.text());
  if (there < 0 || static_cast<uint32_t>(there) > member().size) {
    flash::write(path_.text(), nullptr, 0, nullptr, 0);
  }
  step_ = Step::Look;
}

// What an earlier try has left of the member is read again, for its hash.
void Packages::look() {
  uint8_t piece[kLookedAtOnce];
  size_t got = 0;
  flash::read(path_.text(), have_, piece, sizeof piece, got);
  memberSum_.add(piece, got);
  have_ += static_cast<uint32_t>(got);
  if (got == sizeof piece) return;
  if (have_ == member().size) {
    compare();
  } else {
    step_ = Step::Fetch;
  }
}

void Packages::compare() {
  char sum[Sha256::kHexRoom];
  memberSum_.hex(sum);
  if (same(sum, member().sha256)) {
    memberIsHere();
  } else {
    memberIsWrong();
  }
}

void Packages::memberIsHere() {
  const Member& one = member();
  Text<kNameRoom + 90> line;
  line.add(one.sha256).add(' ').add(one.size).add(' ').add(one.name).add('\n');
  manifestSum_.add(line.text(), line.size());
  doneBytes_ += one.size;
  tries_ = 0;
  ++at_;
  nextMember();
}

void Packages::memberIsWrong() {
  if (++tries_ < kMostTries) {
    restartMember();
    step_ = Step::Fetch;
  } else {
    giveUp("this member is not what its hash says: ", member().name);
  }
}

void Packages::restartMember() {
  have_ = 0;
  memberSum_.begin();
  if (isFirmware()) {
    ota_->open(member().size);
  } else {
    flash::write(path_.text(), nullptr, 0, nullptr, 0);
  }
}

bool Packages::streams(const Answer& answer) {
  if (step_ != Step::Fetch) return false;
  if (have_ > 0 && answer.status != 206) restartMember();  // all of it comes
  if (!isFirmware()) file_ = port::flash().open(path_.text(), "a");
  return true;
}

Error Packages::take(const uint8_t* bytes, size_t size) {
  if (size > member().size - have_) return Error::Damaged;
  const Error error = write(bytes, size);
  if (!isOk(error)) return error;
  memberSum_.add(bytes, size);
  const uint32_t before = have_;
  have_ += static_cast<uint32_t>(size);
  if (file_ && before / kFlushBytes != have_ / kFlushBytes) file_.flush();
  return Error::None;
}

Error Packages::write(const uint8_t* bytes, size_t size) {
  if (isFirmware()) return ota_->write(bytes, size);
  if (!file_) return Error::Flash;
  return file_.write(bytes, size) == size ? Error::None : Error::FlashFull;
}

void Packages::fetched(const Answer& answer) {
  if (file_) {
    file_.flush();
    file_.close();
  }
  const Error error = answer.error;
  if (isOk(error) && have_ == member().size) {
    pace_.succeeded();
    compare();
  } else if (isOk(error) || error == Error::Damaged || answer.status == 416) {
    memberIsWrong();
  } else if (error == Error::Flash || error == Error::FlashFull || error == Error::Rejected || error == Error::Unknown) {
    giveUp("a member cannot be had: ", text(error));
  } else {
    pace_.failed(answer.retryAfterSeconds * 1000);
  }
}

void Packages::wholeIsHere() {
  char sum[Sha256::kHexRoom];
  manifestSum_.hex(sum);
  if (!same(sum, package_.manifest)) {
    giveUp("its members are not those of its manifest");
  } else if (isFirmware()) {
    startFirmware();
  } else {
    Pointer moved = pointer_;
    moved.before = pointer_.active;
    moved.active = pointer_.other();
    copy(moved.id, sizeof moved.id, package_.id);
    copy(moved.manifest, sizeof moved.manifest, package_.manifest);
    moved.fetching[0] = 0;
    moved.isProven = 0;
    const Error error = Record(type_).write(&moved, sizeof moved);
    if (!isOk(error)) {
      giveUp("the pointer cannot be moved: ", text(error));
      return;
    }
    pointer_ = moved;
    deploy();
  }
}

void Packages::deploy() {
  const Error error = deploy_ == nullptr ? Error::None : deploy_(context_, package_);
  if (isOk(error)) {
    pointer_.isProven = 1;
    Record(type_).write(&pointer_, sizeof pointer_);
    say("deployed", "", true);
    return;
  }
  pointer_.active = pointer_.before;
  pointer_.id[0] = 0;
  Record(type_).write(&pointer_, sizeof pointer_);
  giveUp("the device cannot work with it: ", text(error));
}

void Packages::startFirmware() {
  const Error error = ota_->start(package_.id);
  if (!isOk(error)) {
    giveUp("the image cannot be started: ", text(error));
    return;
  }
  restarts_ = true;
  say("deploying", "the new image starts", false);
}

void Packages::say(const char* state, const char* detail, bool isLast) {
  state_ = state;
  detail_ = detail;
  isLast_ = isLast;
  step_ = Step::Report;
}

void Packages::giveUp(const char* detail, const char* which) {
  if (ota_ != nullptr) ota_->abort();
  say("failed", detail, true);
  detail_.add(which);
  node_.report(detail_.text(), Error::Damaged);
}

void Packages::reported(const Answer& answer) {
  const bool isHeard = isOk(answer.error) || answer.error == Error::Unknown || answer.error == Error::Rejected;
  if (!isHeard) {
    pace_.failed(answer.retryAfterSeconds * 1000);
    return;
  }
  pace_.succeeded();
  if (restarts_) {
    node_.reboot();
  } else if (isTrial_) {
    isTrial_ = false;
    ota_->decide();
    step_ = Step::Ask;
  } else if (isLast_) {
    step_ = Step::Ask;  // perhaps there is another one
  } else {
    nextMember();
  }
}

}  // namespace waystation
