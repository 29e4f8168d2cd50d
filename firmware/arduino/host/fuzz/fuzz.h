// One input of a stranger. Built with clang and -fsanitize=fuzzer this is what libFuzzer calls; without, driver.cpp calls it
// with seeds that are cut, doubled, swapped and bitten.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MUST(truth) \
  do {              \
    if (!(truth)) __builtin_trap(); \
  } while (false)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);
extern const char* const kSeeds[];  // ends with nullptr
