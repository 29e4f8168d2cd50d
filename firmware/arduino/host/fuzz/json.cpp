// Whatever the text: views stay inside it, and what is said to be valid is understood in every part.

#include <stdlib.h>
#include <waystation/Json.h>

#include "fuzz.h"

using waystation::Json;

const char* const kSeeds[] = {
    "{\"command\": {\"id\": \"k7f3m2q9x4ab\", \"name\": \"set-interval\", \"parameters\": {\"seconds\": 30}, \"once\": false}}",
    "[1, -2.5e3, true, null, \"a\\u00b0\\ud83d\\ude00\\n\", {\"a\": [[], {}]}]",
    "{\"a\":{\"a\":{\"a\":[[[[\"x\"]]]]}}}",
    nullptr};

namespace {

// How much of it is understood: every part in every way.
void walk(const Json& json, int depth, bool isValid) {
  char words[24];
  double number = 0;
  int64_t whole = 0;
  bool yes = false;
  json.text(words, sizeof words);
  json.number(number);
  json.whole(whole);
  json.boolean(yes);
  json["a"].text(words, sizeof words);
  MUST(depth <= Json::kDeepest || !isValid);
  if (depth > 40) return;
  for (Json one = json.first(); one.found(); one = one.next()) {
    one.name(words, sizeof words);
    if (isValid) MUST(Json::isValid(one.raw(), one.rawSize()));
    walk(one, depth + 1, isValid);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size > 2000) return 0;
  char* text = static_cast<char*>(malloc(size + 1));  // exactly as large, so that one byte too far is seen
  memcpy(text, bytes, size);
  char* exact = static_cast<char*>(malloc(size == 0 ? 1 : size));
  memcpy(exact, bytes, size);
  walk(Json(exact, size), 0, Json::isValid(exact, size));
  text[size] = 0;
  waystation::Text<3000> written;
  waystation::JsonWriter(written).array().value(text, size).end();
  if (!written.isCut()) MUST(Json::isValid(written.text(), written.size()));
  free(exact);
  free(text);
  return 0;
}
