#include <LittleFS.h>
#include <unistd.h>
#include <waystation/Flash.h>
#include <waystation/port_host.h>

#include "check.h"

Test* Test::first = nullptr;

namespace {
const char* current = "";
std::string home;
}  // namespace

void failed(const char* file, int line, const char* what, const std::string& more) {
  fprintf(stderr, "FAILED %s\n%s:%d: %s %s\n", current, file, line, what, more.c_str());
  exit(1);
}

void checkSame(const char* file, int line, const char* what, const std::string& is, const std::string& wanted) {
  if (is != wanted) failed(file, line, what, "is\n  " + is + "\nand should be\n  " + wanted);
}

void newFlash() {
  fs::power.bytesLeft = -1;
  LittleFS.folder = home;
  LittleFS.roomBytes = -1;
  waystation::flash::removeFolder("/ws");
  waystation::port::host = waystation::port::Host();
}

std::string contentOf(const char* path) {
  std::string content;
  char piece[256];
  size_t got = 0;
  while (waystation::flash::read(path, static_cast<uint32_t>(content.size()), piece, sizeof piece, got) == waystation::Error::None && got > 0) {
    content.append(piece, got);
  }
  return content;
}

void put(const char* path, const std::string& content) {
  waystation::flash::makeFolderOf(path);
  waystation::flash::write(path, nullptr, 0, content.data(), content.size());
}

int main(int count, char** words) {
  // In memory where that can be had: the tests write some ten thousand small files.
  std::string folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  folder += "/waystation-arduino-XXXXXX";
  home = mkdtemp(&folder[0]);
  int done = 0;
  for (Test* test = Test::first; test != nullptr; test = test->next) {
    if (count > 1 && strstr(test->sentence, words[1]) == nullptr) continue;
    current = test->sentence;
    newFlash();
    test->body();
    ++done;
  }
  newFlash();
  rmdir(home.c_str());
  printf("%d tests passed\n", done);
  return 0;
}
