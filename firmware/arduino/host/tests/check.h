// A test is a sentence: TEST(a_torn_record_is_never_read) { CHECK(…); }
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>

struct Test {
  Test(const char* words, void (*does)()) : sentence(words), body(does), next(first) { first = this; }
  const char* sentence;
  void (*body)();
  Test* next;
  static Test* first;
};

#define TEST(name)                              \
  static void name();                           \
  static Test name##_test(#name, name);   \
  static void name()

#define CHECK(truth)                                                     \
  do {                                                                   \
    if (!(truth)) failed(__FILE__, __LINE__, #truth, std::string());     \
  } while (false)

#define CHECK_SAME(is, wanted) checkSame(__FILE__, __LINE__, #is, std::string(is), std::string(wanted))

[[noreturn]] void failed(const char* file, int line, const char* what, const std::string& more);
void checkSame(const char* file, int line, const char* what, const std::string& is, const std::string& wanted);

// An empty flash in a folder of its own, with the power on.
void newFlash();
std::string contentOf(const char* path);  // of a file of the flash
void put(const char* path, const std::string& content);
