// A flash file system in a folder of the PC. `fs::power` cuts it off at any byte, as a plug that is pulled.
#pragma once

#include <Arduino.h>

#include <memory>
#include <string>

namespace fs {

class File {
 public:
  File() = default;
  explicit operator bool() const { return inner_ != nullptr; }
  size_t write(const uint8_t* bytes, size_t size);
  size_t read(uint8_t* into, size_t room);
  bool seek(uint32_t to);
  size_t size() const;
  void flush();
  void close() { inner_.reset(); }
  const char* name() const;
  bool isDirectory() const;
  File openNextFile();

 private:
  friend class FS;
  struct Inner;
  std::shared_ptr<Inner> inner_;
};

class FS {
 public:
  bool begin(bool = false) { return true; }
  File open(const char* path, const char* mode);
  bool exists(const char* path);
  bool remove(const char* path);
  bool rename(const char* from, const char* to);
  bool mkdir(const char* path);
  bool rmdir(const char* path);

  std::string folder = ".";  // where "/" is
  int64_t roomBytes = -1;    // how much may still be written; -1: as much as one likes

 private:
  std::string at(const char* path) const { return folder + path; }
};

// Test only: after so many more bytes (a change of a folder counts as one) nothing reaches the flash any more.
struct Power {
  int64_t bytesLeft = -1;  // -1: it is on
  bool isOff() const { return bytesLeft == 0; }
};
extern Power power;

}  // namespace fs

using fs::File;

extern fs::FS LittleFS;
