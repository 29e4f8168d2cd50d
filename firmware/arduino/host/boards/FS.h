#pragma once

#include <Arduino.h>

namespace fs {

class File {
 public:
  File() = default;
  File(const File& other);
  File& operator=(const File& other);
  ~File();
  operator bool() const;
  size_t write(const uint8_t* bytes, size_t size);
  int read(uint8_t* into, size_t room);
  bool seek(uint32_t to);
  size_t size() const;
  void flush();
  void close();
  const char* name() const;
  bool isDirectory();
  File openNextFile();

 private:
  void* file_ = nullptr;  // two shared pointers on an ESP8266, one on an ESP32
  void* of_ = nullptr;
};

struct FSInfo {
  size_t totalBytes;
  size_t usedBytes;
};

class FS {
 public:
  bool begin(bool format = true);
  bool info(FSInfo& into);
  size_t totalBytes();
  size_t usedBytes();
  File open(const char* path, const char* mode);
  bool exists(const char* path);
  bool remove(const char* path);
  bool rename(const char* from, const char* to);
  bool mkdir(const char* path);
  bool rmdir(const char* path);
};

}  // namespace fs

using fs::File;
using fs::FS;
using fs::FSInfo;
