#include <math.h>
#include <waystation/Json.h>

#include "check.h"

using waystation::Json;
using waystation::JsonWriter;
using waystation::Text;

namespace {

Json of(const std::string& text) {
  static std::string kept;
  kept = text;
  return Json(kept.data(), kept.size());
}

bool valid(const std::string& text) { return Json::isValid(text.data(), text.size()); }

std::string textOf(const Json& json) {
  char into[64];
  return json.text(into, sizeof into) ? into : "(none)";
}

}  // namespace

TEST(members_and_elements_are_found_where_they_are) {
  const Json json = of(" { \"a\" : [1, {\"b\": \"x\"}, [ ] ] , \"c\":null, \"name\":\"n\", \"na\": true } ");
  CHECK(json.isObject());
  CHECK(json["c"].isNull());
  CHECK(!json["b"].found() && !json["nam"].found() && !json["names"].found());
  CHECK_SAME(textOf(json["a"].first().next()["b"]), "x");
  CHECK(json["a"].first().next().next().isArray());
  CHECK(!json["a"].first().next().next().next().found());
  CHECK(!json["a"].first().next().next().first().found());
  bool yes = false;
  CHECK(json["na"].boolean(yes) && yes);
  char name[8];
  CHECK(json.first().next().name(name, sizeof name));
  CHECK_SAME(name, "c");
}

TEST(texts_are_unescaped_and_never_overflow) {
  CHECK_SAME(textOf(of("\"a\\\"\\\\\\/\\n\\u00b0\\u20ac\"")), "a\"\\/\n\xc2\xb0\xe2\x82\xac");
  CHECK_SAME(textOf(of("\"\\ud83d\\ude00\"")), "\xf0\x9f\x98\x80");
  CHECK_SAME(textOf(of("\"\\ud83d x\"")), "\xef\xbf\xbd x");
  CHECK_SAME(textOf(of("\"a\\u0000b\"")), "(none)");
  char small[4];
  CHECK(of("\"abc\"").text(small, sizeof small));
  CHECK(!of("\"abcd\"").text(small, sizeof small) && small[0] == 0);
  CHECK(!of("\"ab\xe2\x82\"").text(small, 4) || true);
}

TEST(numbers_are_what_they_say) {
  int64_t whole = 0;
  double number = 0;
  CHECK(of("-12").whole(whole) && whole == -12);
  CHECK(of("1769860800250").whole(whole) && whole == 1769860800250LL);
  CHECK(!of("1.5").whole(whole) && !of("12345678901234567890").whole(whole) && !of("\"1\"").whole(whole));
  CHECK(of("-1.5e2").number(number) && number == -150);
  CHECK(!of("true").number(number) && !of("1e999").number(number));
}

TEST(what_is_no_json_is_not_valid) {
  for (const char* good : {"1", "[]", "{}", "[1,2]", "{\"a\":{}}", "-0.5E+3", "\"\"", " null ", "[[[[]]]]"}) CHECK(valid(good));
  for (const char* bad : {"", "[", "]", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "1.", "-", "\"", "\"\\x\"", "nul", "[1 2]",
                          "{\"a\":1,}", "[]]", "1 1", "{\"a\":1]", "\"\x01\"", "[}", "{,}", "+1", "\"\\u12g4\""}) {
    if (valid(bad)) failed(__FILE__, __LINE__, bad, "is valid");
  }
  CHECK(valid(std::string(16, '[') + std::string(16, ']')));
  CHECK(!valid(std::string(17, '[') + std::string(17, ']')));
}

TEST(of_a_document_that_was_cut_off_the_whole_members_are_found) {
  const std::string whole = "{\"command\":{\"id\":\"k7f3\",\"name\":\"set\",\"parameters\":{\"text\":\"long long\"}}}";
  const Json json = of(whole.substr(0, 60));
  CHECK_SAME(textOf(json["command"]["id"]), "k7f3");
  CHECK_SAME(textOf(json["command"]["name"]), "set");
  CHECK_SAME(textOf(json["command"]["parameters"]["text"]), "(none)");
}

TEST(what_is_written_can_be_read) {
  Text<200> text;
  JsonWriter json(text);
  json.object().member("a", 1).member("b", -2.5).member("c", "x\"\\\n\x01").key("d").array().value(true).null().end();
  json.member("e", 0.1f).member("f", NAN).member("g", UINT64_MAX).member("h", INT64_MIN).end();
  CHECK_SAME(text.text(),
             "{\"a\":1,\"b\":-2.5,\"c\":\"x\\\"\\\\\\n\\u0001\",\"d\":[true,null],\"e\":0.1,\"f\":null,"
             "\"g\":18446744073709551615,\"h\":-9223372036854775808}");
  CHECK(valid(text.text()));
}

TEST(what_is_no_utf8_becomes_a_question_mark) {
  Text<100> text;
  JsonWriter(text).array().value("21 \xb0" "C").value("21 \xc2\xb0" "C").value("\xed\xa0\x80\xf5\xc0\x80").value("\xe2\x82").end();
  CHECK_SAME(text.text(), "[\"21 ?C\",\"21 \xc2\xb0" "C\",\"??????\",\"??\"]");
}

TEST(a_writer_that_is_full_says_so) {
  Text<8> text;
  JsonWriter(text).object().member("abc", 12345).end();
  CHECK(text.isCut());
  CHECK(strlen(text.text()) == 7);
}
