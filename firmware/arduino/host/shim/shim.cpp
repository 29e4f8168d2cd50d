#include <Arduino.h>
#include <FS.h>
#include <WiFiClient.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

HostSerial Serial;
fs::FS LittleFS;

unsigned long millis() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<unsigned long>(now.tv_sec) * 1000UL + static_cast<unsigned long>(now.tv_nsec) / 1000000UL;
}

void delay(unsigned long ms) { usleep(static_cast<useconds_t>(ms * 1000)); }
void yield() { usleep(100); }

int HostSerial::printf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int size = vprintf(format, arguments);
  va_end(arguments);
  fflush(stdout);
  return size;
}

void HostSerial::println(const char* words) { printf("%s\n", words); }

// ---- TCP

namespace {

bool isOpen(int socket, uint32_t timeoutMs) {
  pollfd wanted{socket, POLLOUT, 0};
  if (poll(&wanted, 1, static_cast<int>(timeoutMs)) != 1) return false;
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

}  // namespace

int WiFiClient::connect(const char* host, uint16_t port, int32_t timeoutMs) {
  stop();
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host, std::to_string(port).c_str(), &hints, &found) != 0) return 0;
  socket_ = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  const int begun = ::connect(socket_, found->ai_addr, found->ai_addrlen);
  const bool isBegun = begun == 0 || errno == EINPROGRESS;
  freeaddrinfo(found);
  if (isBegun && isOpen(socket_, static_cast<uint32_t>(timeoutMs))) return 1;
  stop();
  return 0;
}

size_t WiFiClient::write(const uint8_t* bytes, size_t size) {
  if (socket_ < 0) return 0;
  const ssize_t gone = send(socket_, bytes, size, MSG_NOSIGNAL);
  if (gone >= 0) return static_cast<size_t>(gone);
  if (errno != EAGAIN && errno != EINTR) stop();
  return 0;
}

int WiFiClient::available() {
  int there = 0;
  if (socket_ < 0 || ioctl(socket_, FIONREAD, &there) != 0) return 0;
  return there;
}

int WiFiClient::read(uint8_t* into, size_t room) {
  if (socket_ < 0) return -1;
  return static_cast<int>(recv(socket_, into, room, 0));
}

void WiFiClient::stop() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

// As on the boards: also true when the other side has closed, as long as there is something to read.
uint8_t WiFiClient::connected() {
  if (socket_ < 0) return 0;
  uint8_t byte = 0;
  const ssize_t got = recv(socket_, &byte, 1, MSG_PEEK);
  if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) return 1;
  stop();
  return 0;
}

// ---- files

namespace fs {

Power power;

namespace {

// How much of it still reaches the flash.
size_t powered(size_t size) {
  if (power.bytesLeft < 0) return size;
  const size_t part = size < static_cast<size_t>(power.bytesLeft) ? size : static_cast<size_t>(power.bytesLeft);
  power.bytesLeft -= static_cast<int64_t>(part);
  return part;
}

bool isPowered() { return powered(1) == 1; }

bool isFolder(const std::string& path) {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

}  // namespace

struct File::Inner {
  std::string path;
  int file = -1;
  DIR* folder = nullptr;
  FS* of = nullptr;
  std::string relative;

  ~Inner() {
    if (file >= 0) ::close(file);
    if (folder != nullptr) closedir(folder);
  }
};

size_t File::write(const uint8_t* bytes, size_t size) {
  if (!inner_ || inner_->file < 0) return 0;
  if (inner_->of->roomBytes >= 0) {
    const auto room = static_cast<size_t>(inner_->of->roomBytes);
    if (size > room) size = room;
    inner_->of->roomBytes -= static_cast<int64_t>(size);
  }
  const size_t part = powered(size);
  const ssize_t gone = part == 0 ? 0 : ::write(inner_->file, bytes, part);
  return gone == static_cast<ssize_t>(part) ? size : 0;  // without power nobody is left to notice
}

size_t File::read(uint8_t* into, size_t room) {
  if (!inner_ || inner_->file < 0) return 0;
  const ssize_t got = ::read(inner_->file, into, room);
  return got < 0 ? 0 : static_cast<size_t>(got);
}

bool File::seek(uint32_t to) { return inner_ && lseek(inner_->file, to, SEEK_SET) >= 0; }

size_t File::size() const {
  struct stat found{};
  if (!inner_ || inner_->file < 0 || fstat(inner_->file, &found) != 0) return 0;
  return static_cast<size_t>(found.st_size);
}

void File::flush() {}  // what is written survives the end of the program, which is all that is tested here

const char* File::name() const { return inner_ ? inner_->relative.c_str() : ""; }
bool File::isDirectory() const { return inner_ && inner_->folder != nullptr; }

File File::openNextFile() {
  if (!isDirectory()) return File();
  while (const dirent* entry = readdir(inner_->folder)) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    const std::string path = inner_->relative + "/" + entry->d_name;
    return inner_->of->open(path.c_str(), "r");
  }
  return File();
}

File FS::open(const char* path, const char* mode) {
  File opened;
  const std::string place = at(path);
  auto inner = std::make_shared<File::Inner>();
  inner->path = place;
  inner->relative = path;
  inner->of = this;
  const int flags = *mode == 'r' ? O_RDONLY : O_WRONLY | O_CREAT | (*mode == 'a' ? O_APPEND : O_TRUNC);
  if (*mode == 'r' && isFolder(place)) {
    inner->folder = opendir(place.c_str());
  } else if (*mode == 'r' || isPowered()) {
    inner->file = ::open(place.c_str(), flags | O_CLOEXEC, 0600);
  } else {
    inner->file = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  }
  if (inner->file >= 0 || inner->folder != nullptr) opened.inner_ = inner;
  return opened;
}

bool FS::exists(const char* path) { return access(at(path).c_str(), F_OK) == 0; }
bool FS::remove(const char* path) { return !isPowered() || unlink(at(path).c_str()) == 0; }
bool FS::rename(const char* from, const char* to) {
  return !isPowered() || ::rename(at(from).c_str(), at(to).c_str()) == 0;
}
bool FS::mkdir(const char* path) { return !isPowered() || ::mkdir(at(path).c_str(), 0700) == 0; }
bool FS::rmdir(const char* path) { return !isPowered() || ::rmdir(at(path).c_str()) == 0; }

}  // namespace fs
