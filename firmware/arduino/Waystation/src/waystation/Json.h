// JSON without a heap: a writer into a fixed buffer, and views into a document that stays where it was received.
//
// A document is checked once, whole (`Json::isValid`); after that a view is a pointer and a size, and finding a member
// walks over the text. That is slow for large documents and just right for answers of a kilobyte. A view of a document
// that was never checked, or was cut off, is safe too: what is not there is not found.
#pragma once

#include "Text.h"

namespace waystation {

class Json {
 public:
  static constexpr uint8_t kDeepest = 16;  // arrays and objects within each other

  Json() = default;
  Json(const char* text, size_t size);

  // One value, and nothing but white space around it.
  static bool isValid(const char* text, size_t size);

  bool found() const { return at_ != nullptr; }
  bool isNull() const { return starts('n'); }
  bool isObject() const { return starts('{'); }
  bool isArray() const { return starts('['); }
  bool isText() const { return starts('"'); }

  // The member of an object; not found when there is none. Names are compared as they are written, without escapes.
  Json operator[](const char* name) const;

  // The elements of an array or the values of an object: `for (Json one = list.first(); one.found(); one = one.next())`.
  Json first() const;
  Json next() const;
  // Of a value reached by first() and next() in an object. False when it does not fit.
  bool name(char* into, size_t room) const;

  // Unescaped, with a zero at the end. False, and "", when it is not a text or does not fit.
  bool text(char* into, size_t room) const;
  bool is(const char* words) const;
  bool number(double& into) const;
  bool whole(int64_t& into) const;  // a number without a fraction that fits
  bool boolean(bool& into) const;
  // As written, to hand it on.
  const char* raw() const { return at_; }
  size_t rawSize() const { return size_; }

 private:
  Json(const char* at, const char* end, const char* limit) : at_(at), size_(static_cast<size_t>(end - at)), limit_(limit) {}
  bool starts(char letter) const { return at_ != nullptr && *at_ == letter; }
  static Json value(const char* from, const char* limit, const char* name);

  const char* at_ = nullptr;     // the value's first letter
  size_t size_ = 0;              // of the value
  const char* limit_ = nullptr;  // end of the document
  const char* name_ = nullptr;   // the member's name, at its quotation mark
};

// `JsonWriter(text).object().member("a", 1).end()`. Commas come by themselves.
class JsonWriter {
 public:
  explicit JsonWriter(Writer& to) : to_(to) {}

  JsonWriter& object() { return open('{'); }
  JsonWriter& array() { return open('['); }
  JsonWriter& end();  // of the innermost that is open
  JsonWriter& key(const char* name);

  JsonWriter& value(const char* words);
  JsonWriter& value(const char* words, size_t size);
  JsonWriter& value(double number);  // what is not finite is null
  JsonWriter& value(float number);
  JsonWriter& value(int number) { return signedNumber(number); }
  JsonWriter& value(unsigned number) { return unsignedNumber(number); }
  JsonWriter& value(long number) { return signedNumber(number); }
  JsonWriter& value(unsigned long number) { return unsignedNumber(number); }
  JsonWriter& value(long long number) { return signedNumber(number); }
  JsonWriter& value(unsigned long long number) { return unsignedNumber(number); }
  JsonWriter& value(bool yes);
  JsonWriter& null();
  JsonWriter& raw(const char* json, size_t size);

  template <typename Value>
  JsonWriter& member(const char* name, Value one) {
    return key(name).value(one);
  }

  bool isCut() const { return to_.isCut(); }

 private:
  static constexpr uint8_t kDeepest = 8;

  JsonWriter& open(char bracket);
  JsonWriter& signedNumber(int64_t number);
  JsonWriter& unsignedNumber(uint64_t number);
  void comma();
  void quoted(const char* words, size_t size);

  Writer& to_;
  char closing_[kDeepest] = {};
  uint8_t depth_ = 0;
  bool hasBefore_ = false;
};

}  // namespace waystation
