// Files, as this library uses them: whole operations, each durable when it returns, errors as values.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "Error.h"

namespace waystation {
namespace flash {

constexpr size_t kPathRoom = 160;

int32_t sizeOf(const char* path);  // -1 when there is no such file
bool exists(const char* path);
// Reads up to `room` bytes from `offset` on; `size` says how many there were.
Error read(const char* path, uint32_t offset, void* into, size_t room, size_t& size);
Error append(const char* path, const void* bytes, size_t size);
Error write(const char* path, const void* head, size_t headSize, const void* bytes, size_t size);
Error makeFolder(const char* path);    // and those above it
Error makeFolderOf(const char* path);  // the one that the file is to be in
Error rename(const char* from, const char* to);
void remove(const char* path);
void removeFolder(const char* path);  // with everything in it

using Each = void (*)(void* context, const char* name, uint32_t size, bool isFolder);
void list(const char* folder, Each each, void* context);

}  // namespace flash
}  // namespace waystation
