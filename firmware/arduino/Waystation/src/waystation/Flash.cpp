#include "Flash.h"

#include "Port.h"
#include "Text.h"

namespace waystation {
namespace flash {

namespace {

const char* baseOf(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

Error written(File& file, const void* bytes, size_t size) {
  if (size == 0) return Error::None;
  return file.write(static_cast<const uint8_t*>(bytes), size) == size ? Error::None : Error::FlashFull;
}

// The first entry of a folder: a file system that is changed while it is listed may skip some.
bool firstIn(const char* folder, Writer& path, bool& isFolder) {
  File opened = port::flash().open(folder, "r");
  if (!opened) return false;
  File entry = opened.openNextFile();
  if (!entry) return false;
  isFolder = entry.isDirectory();
  path.add(folder).add('/').add(baseOf(entry.name()));
  return !path.isCut();
}

}  // namespace

int32_t sizeOf(const char* path) {
  if (!port::flash().exists(path)) return -1;
  File file = port::flash().open(path, "r");
  return file ? static_cast<int32_t>(file.size()) : -1;
}

bool exists(const char* path) { return port::flash().exists(path); }

Error read(const char* path, uint32_t offset, void* into, size_t room, size_t& size) {
  size = 0;
  if (!exists(path)) return Error::NotFound;
  File file = port::flash().open(path, "r");
  if (!file || (offset > 0 && !file.seek(offset))) return Error::Flash;
  while (size < room) {
    const auto got = static_cast<int>(file.read(static_cast<uint8_t*>(into) + size, room - size));
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  return Error::None;
}

Error append(const char* path, const void* bytes, size_t size) {
  File file = port::flash().open(path, "a");
  if (!file) return Error::Flash;
  const Error error = written(file, bytes, size);
  file.flush();
  file.close();
  return error;
}

Error write(const char* path, const void* head, size_t headSize, const void* bytes, size_t size) {
  File file = port::flash().open(path, "w");
  if (!file) return Error::Flash;
  Error error = written(file, head, headSize);
  if (isOk(error)) error = written(file, bytes, size);
  file.flush();
  file.close();
  return error;
}

Error makeFolder(const char* path) {
  Text<kPathRoom> part;
  for (const char* at = path; *at; ++at) {
    if (*at == '/' && at != path && !exists(part.text()) && !port::flash().mkdir(part.text())) return Error::Flash;
    part.add(*at);
  }
  if (part.isCut()) return Error::TooLarge;
  return exists(path) || port::flash().mkdir(path) ? Error::None : Error::Flash;
}

Error makeFolderOf(const char* path) {
  Text<kPathRoom> folder;
  folder.add(path, static_cast<size_t>(baseOf(path) - path) - 1);
  return folder.isCut() ? Error::TooLarge : makeFolder(folder.text());
}

Error rename(const char* from, const char* to) {
  return port::flash().rename(from, to) ? Error::None : Error::Flash;
}

void remove(const char* path) {
  if (exists(path)) port::flash().remove(path);
}

void removeFolder(const char* folder) {
  if (!exists(folder)) return;
  Text<kPathRoom> at;
  bool isFolder = false;
  while (true) {
    at.clear();
    if (!firstIn(folder, at, isFolder)) break;
    // Down into folders by the loop, not by recursion: each round removes one leaf.
    Text<kPathRoom> deeper;
    while (isFolder) {
      deeper.clear();
      if (!firstIn(at.text(), deeper, isFolder)) break;
      at = deeper.text();
    }
    const bool gone = isFolder ? port::flash().rmdir(at.text()) : port::flash().remove(at.text());
    if (!gone) return;
  }
  port::flash().rmdir(folder);
}

void list(const char* folder, Each each, void* context) {
  if (!exists(folder)) return;
  File opened = port::flash().open(folder, "r");
  if (!opened) return;
  for (File entry = opened.openNextFile(); entry; entry = opened.openNextFile()) {
    each(context, baseOf(entry.name()), static_cast<uint32_t>(entry.size()), entry.isDirectory());
  }
}

}  // namespace flash
}  // namespace waystation
