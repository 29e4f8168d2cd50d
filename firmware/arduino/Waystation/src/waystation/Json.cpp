#include "Json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

namespace waystation {

namespace {

bool isSpace(char letter) { return letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t'; }
bool isDigit(char letter) { return letter >= '0' && letter <= '9'; }

int hexDigit(char letter) {
  if (isDigit(letter)) return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

// Each of these returns the place after what it names, or nullptr when that is not there, whole, before `limit`.

const char* afterSpace(const char* at, const char* limit) {
  while (at < limit && isSpace(*at)) ++at;
  return at;
}

const char* afterQuoted(const char* at, const char* limit) {
  if (at >= limit || *at != '"') return nullptr;
  for (++at; at < limit; ++at) {
    if (*at == '"') return at + 1;
    if (static_cast<uint8_t>(*at) < 0x20) return nullptr;
    if (*at != '\\') continue;
    if (++at >= limit) return nullptr;
    if (*at == 'u') {
      for (int i = 0; i < 4; ++i) {
        if (++at >= limit || hexDigit(*at) < 0) return nullptr;
      }
    } else if (*at == 0 || strchr("\"\\/bfnrt", *at) == nullptr) {
      return nullptr;
    }
  }
  return nullptr;
}

const char* afterDigits(const char* at, const char* limit) {
  const char* from = at;
  while (at < limit && isDigit(*at)) ++at;
  return at == from ? nullptr : at;
}

const char* afterNumber(const char* at, const char* limit) {
  if (at < limit && *at == '-') ++at;
  if (at < limit && *at == '0') {
    ++at;
  } else if ((at = afterDigits(at, limit)) == nullptr) {
    return nullptr;
  }
  if (at < limit && *at == '.' && (at = afterDigits(at + 1, limit)) == nullptr) return nullptr;
  if (at < limit && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at < limit && (*at == '+' || *at == '-')) ++at;
    at = afterDigits(at, limit);
  }
  return at;
}

const char* afterWord(const char* at, const char* limit, const char* word) {
  const size_t size = strlen(word);
  const bool there = static_cast<size_t>(limit - at) >= size && memcmp(at, word, size) == 0;
  return there ? at + size : nullptr;
}

const char* afterSimple(const char* at, const char* limit) {
  if (at >= limit) return nullptr;
  switch (*at) {
    case '"': return afterQuoted(at, limit);
    case 't': return afterWord(at, limit, "true");
    case 'f': return afterWord(at, limit, "false");
    case 'n': return afterWord(at, limit, "null");
    default: return afterNumber(at, limit);
  }
}

// After `"name" :` and the space behind it.
const char* afterName(const char* at, const char* limit) {
  at = afterQuoted(at, limit);
  if (at == nullptr) return nullptr;
  at = afterSpace(at, limit);
  if (at >= limit || *at != ':') return nullptr;
  return afterSpace(at + 1, limit);
}

// The brackets that are open, innermost last. No recursion: a stranger's document must not decide how deep our stack goes.
struct Open {
  char closing[Json::kDeepest];
  uint8_t depth = 0;

  bool push(char bracket) {
    if (depth == Json::kDeepest) return false;
    closing[depth++] = bracket == '{' ? '}' : ']';
    return true;
  }
  bool isObject() const { return closing[depth - 1] == '}'; }
};

const char* afterValue(const char* at, const char* limit) {
  Open open;
  while (true) {
    if (at < limit && (*at == '{' || *at == '[')) {
      if (!open.push(*at)) return nullptr;
      at = afterSpace(at + 1, limit);
      if (at < limit && *at != open.closing[open.depth - 1]) {
        if (open.isObject() && (at = afterName(at, limit)) == nullptr) return nullptr;
        continue;
      }
      if (at >= limit) return nullptr;
      ++at;
      --open.depth;
    } else if ((at = afterSimple(at, limit)) == nullptr) {
      return nullptr;
    }
    // A value has ended: close what ends with it, then on to the next one.
    while (true) {
      if (open.depth == 0) return at;
      at = afterSpace(at, limit);
      if (at >= limit) return nullptr;
      const char letter = *at++;
      if (letter == ',') break;
      if (letter != open.closing[open.depth - 1]) return nullptr;
      --open.depth;
    }
    at = afterSpace(at, limit);
    if (open.isObject() && (at = afterName(at, limit)) == nullptr) return nullptr;
  }
}

uint16_t fourHex(const char* at) {
  int code = 0;
  for (int i = 0; i < 4; ++i) code = code * 16 + hexDigit(at[i]);
  return static_cast<uint16_t>(code);
}

size_t utf8(uint32_t code, char* into) {
  const auto byte = [](uint32_t bits) { return static_cast<char>(static_cast<uint8_t>(bits)); };
  if (code < 0x80) {
    into[0] = byte(code);
    return 1;
  }
  if (code < 0x800) {
    into[0] = byte(0xC0 | (code >> 6));
    into[1] = byte(0x80 | (code & 63));
    return 2;
  }
  if (code < 0x10000) {
    into[0] = byte(0xE0 | (code >> 12));
    into[1] = byte(0x80 | ((code >> 6) & 63));
    into[2] = byte(0x80 | (code & 63));
    return 3;
  }
  into[0] = byte(0xF0 | (code >> 18));
  into[1] = byte(0x80 | ((code >> 12) & 63));
  into[2] = byte(0x80 | ((code >> 6) & 63));
  into[3] = byte(0x80 | (code & 63));
  return 4;
}

// How many bytes the letter has in UTF-8; 0 when it is none: many a sketch has a degree sign in Latin-1.
size_t letterSize(const char* at, const char* end) {
  const auto byte = [at](size_t i) { return static_cast<uint8_t>(at[i]); };
  if (byte(0) < 0x80) return 1;
  const size_t size = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || static_cast<size_t>(end - at) < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool isOverlong = (byte(0) == 0xE0 && byte(1) < 0xA0) || (byte(0) == 0xF0 && byte(1) < 0x90);
  const bool isOutside = (byte(0) == 0xED && byte(1) > 0x9F) || (byte(0) == 0xF4 && byte(1) > 0x8F);
  return isOverlong || isOutside ? 0 : size;
}

// `at` is after the backslash; moves it to the last letter of the escape. Half a pair becomes U+FFFD.
uint32_t escaped(const char*& at, const char* end) {
  switch (*at) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return static_cast<uint8_t>(*at);
  }
  const uint32_t first = fourHex(at + 1);
  at += 4;
  if (first < 0xD800 || first > 0xDFFF) return first;
  if (first < 0xDC00 && end - at > 6 && at[1] == '\\' && at[2] == 'u') {
    const uint32_t second = fourHex(at + 3);
    if (second >= 0xDC00 && second <= 0xDFFF) {
      at += 6;
      return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    }
  }
  return 0xFFFD;
}

// Of a quoted text that afterQuoted() has accepted.
bool unescape(const char* at, const char* end, char* into, size_t room) {
  size_t size = 0;
  into[0] = 0;
  for (++at; at < end - 1; ++at) {
    char letters[4] = {*at};
    size_t count = 1;
    if (*at == '\\') count = utf8(escaped(++at, end), letters);
    if (letters[0] == 0 || size + count >= room) {  // a zero would end a C string in its middle
      into[0] = 0;
      return false;
    }
    memcpy(into + size, letters, count);
    size += count;
  }
  into[size] = 0;
  return true;
}

}  // namespace

Json::Json(const char* text, size_t size) { *this = value(afterSpace(text, text + size), text + size, nullptr); }

bool Json::isValid(const char* text, size_t size) {
  const char* limit = text + size;
  const char* end = afterValue(afterSpace(text, limit), limit);
  return end != nullptr && afterSpace(end, limit) == limit;
}

// A value that is not whole reaches to the end of the document, so that what is there of it can be found.
Json Json::value(const char* from, const char* limit, const char* name) {
  if (from == nullptr || from >= limit) return Json();
  const char* end = afterValue(from, limit);
  Json found(from, end == nullptr ? limit : end, limit);
  found.name_ = name;
  return found;
}

Json Json::operator[](const char* name) const {
  if (!isObject()) return Json();
  const size_t size = strlen(name);
  for (Json one = first(); one.found(); one = one.next()) {
    if (strncmp(one.name_ + 1, name, size) == 0 && one.name_[size + 1] == '"') return one;
  }
  return Json();
}

Json Json::first() const {
  if (!isObject() && !isArray()) return Json();
  const char* at = afterSpace(at_ + 1, limit_);
  if (at >= limit_ || *at == '}' || *at == ']') return Json();
  return isArray() ? value(at, limit_, nullptr) : value(afterName(at, limit_), limit_, at);
}

Json Json::next() const {
  if (!found()) return Json();
  const char* at = afterSpace(at_ + size_, limit_);
  if (at >= limit_ || *at != ',') return Json();
  at = afterSpace(at + 1, limit_);
  return name_ == nullptr ? value(at, limit_, nullptr) : value(afterName(at, limit_), limit_, at);
}

bool Json::name(char* into, size_t room) const {
  into[0] = 0;
  if (name_ == nullptr) return false;
  return unescape(name_, afterQuoted(name_, limit_), into, room);
}

bool Json::text(char* into, size_t room) const {
  into[0] = 0;
  if (!isText() || afterQuoted(at_, at_ + size_) == nullptr) return false;
  return unescape(at_, at_ + size_, into, room);
}

bool Json::is(const char* words) const {
  const size_t size = strlen(words);
  return isText() && size_ == size + 2 && memcmp(at_ + 1, words, size) == 0;
}

bool Json::number(double& into) const {
  char digits[40];
  if (!found() || (*at_ != '-' && !isDigit(*at_)) || size_ >= sizeof digits) return false;
  memcpy(digits, at_, size_);
  digits[size_] = 0;
  into = strtod(digits, nullptr);
  return isfinite(into);
}

bool Json::whole(int64_t& into) const {
  if (!found()) return false;
  const char* end = at_ + size_;
  const char* at = at_;
  const bool negative = *at == '-';
  if (negative) ++at;
  if (at == end || end - at > 18) return false;
  int64_t number = 0;
  for (; at < end; ++at) {
    if (!isDigit(*at)) return false;
    number = number * 10 + (*at - '0');
  }
  into = negative ? -number : number;
  return true;
}

bool Json::boolean(bool& into) const {
  const bool yes = starts('t');
  if (!yes && !starts('f')) return false;
  into = yes;
  return true;
}

JsonWriter& JsonWriter::open(char bracket) {
  comma();
  to_.add(bracket);
  if (depth_ < kDeepest) closing_[depth_] = bracket == '{' ? '}' : ']';
  ++depth_;
  hasBefore_ = false;
  return *this;
}

JsonWriter& JsonWriter::end() {
  if (depth_ == 0) return *this;
  --depth_;
  if (depth_ < kDeepest) to_.add(closing_[depth_]);
  hasBefore_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(const char* name) {
  comma();
  quoted(name, strlen(name));
  to_.add(':');
  hasBefore_ = false;
  return *this;
}

void JsonWriter::comma() {
  if (hasBefore_) to_.add(',');
  hasBefore_ = true;
}

JsonWriter& JsonWriter::raw(const char* json, size_t size) {
  comma();
  to_.add(json, size);
  return *this;
}

JsonWriter& JsonWriter::null() { return raw("null", 4); }
JsonWriter& JsonWriter::value(bool yes) { return yes ? raw("true", 4) : raw("false", 5); }
JsonWriter& JsonWriter::value(const char* words) { return value(words, strlen(words)); }

JsonWriter& JsonWriter::value(const char* words, size_t size) {
  comma();
  quoted(words, size);
  return *this;
}

JsonWriter& JsonWriter::signedNumber(int64_t number) {
  comma();
  to_.add(static_cast<long long>(number));
  return *this;
}

JsonWriter& JsonWriter::unsignedNumber(uint64_t number) {
  comma();
  to_.add(static_cast<unsigned long long>(number));
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  if (!isfinite(number)) return null();
  char digits[32];
  const int size = snprintf(digits, sizeof digits, "%.15g", number);
  return raw(digits, static_cast<size_t>(size));
}

// A float has seven digits to offer; as a double it would show nine more that nobody measured.
JsonWriter& JsonWriter::value(float number) {
  if (!isfinite(number)) return null();
  char digits[32];
  const int size = snprintf(digits, sizeof digits, "%.7g", static_cast<double>(number));
  return raw(digits, static_cast<size_t>(size));
}

void JsonWriter::quoted(const char* words, size_t size) {
  to_.add('"');
  const char* plain = words;
  const char* end = words + size;
  for (const char* at = words; at < end;) {
    const auto byte = static_cast<uint8_t>(*at);
    const size_t letter = letterSize(at, end);
    if (letter > 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
      at += letter;
      continue;
    }
    to_.add(plain, static_cast<size_t>(at - plain));
    plain = ++at;
    if (letter == 0) {
      to_.add('?');
    } else if (byte >= 0x20) {
      to_.add('\\').add(static_cast<char>(byte));
    } else if (byte == '\n') {
      to_.add("\\n");
    } else {
      const char code[] = {'\\', 'u', '0', '0', static_cast<char>('0' + (byte >> 4)), "0123456789abcdef"[byte & 15]};
      to_.add(code, sizeof code);
    }
  }
  to_.add(plain, static_cast<size_t>(end - plain)).add('"');
}

}  // namespace waystation
