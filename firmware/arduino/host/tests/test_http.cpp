#include <waystation/Clock.h>
#include <waystation/Http.h>

#include "check.h"

using waystation::Address;
using waystation::Answer;
using waystation::AnswerReader;
using waystation::Error;
using waystation::Request;
using waystation::Text;

namespace {

struct Heard : waystation::BodySink {
  bool headIsHere(const Answer&) override { return true; }
  bool bodyComes(const uint8_t* bytes, size_t size) override {
    body.append(reinterpret_cast<const char*>(bytes), size);
    return true;
  }
  std::string body;
};

struct Read {
  Answer answer;
  std::string body;
  bool isDone;
  bool isBad;
};

// In pieces of every size, so that no border is special.
Read readAll(const std::string& bytes, bool ends = false, bool isHead = false) {
  Read last;
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    Heard heard;
    Answer answer;
    AnswerReader reader(answer, heard);
    reader.begin(isHead);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(reinterpret_cast<const uint8_t*>(bytes.data()) + at, std::min(piece, bytes.size() - at));
    }
    if (ends) reader.feedEnd();
    const Read now{answer, heard.body, reader.isDone(), reader.isBad()};
    if (piece > 1) CHECK(now.body == last.body && now.isDone == last.isDone && now.isBad == last.isBad);
    last = now;
  }
  return last;
}

}  // namespace

TEST(an_answer_is_read_by_its_length) {
  const Read read = readAll(
      "HTTP/1.1 200 OK\r\ndate: Sun, 29 Nov 2026 16:00:00 GMT\r\nContent-Length:  5\r\nConnection: keep-alive\r\n\r\nhello");
  CHECK(read.isDone && read.answer.status == 200 && read.answer.error == Error::None && !read.answer.closes);
  CHECK_SAME(read.body, "hello");
  CHECK(read.answer.dateMs == 1795968000000ULL);
}

TEST(an_answer_is_read_in_chunks) {
  const Read read = readAll(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, you all!\r\n0\r\nTrailer: x\r\n\r\n");
  CHECK(read.isDone);
  CHECK_SAME(read.body, "hello, you all!");
}

TEST(an_answer_without_a_length_ends_with_the_connection) {
  CHECK(!readAll("HTTP/1.0 200 OK\r\n\r\nhello").isDone);
  const Read read = readAll("HTTP/1.0 200 OK\r\n\r\nhello", true);
  CHECK(read.isDone && read.answer.closes);
  CHECK_SAME(read.body, "hello");
}

TEST(an_answer_that_breaks_off_is_bad) {
  CHECK(readAll("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true).isBad);
  CHECK(readAll("HTTP/1.1 200 OK\r\nContent-Le", true).isBad);
  CHECK(readAll("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true).isBad);
}

TEST(answers_without_a_body_end_with_their_head) {
  CHECK(readAll("HTTP/1.1 204 No Content\r\nUpload-Offset: 70000\r\n\r\n").answer.uploadOffset == 70000);
  CHECK(readAll("HTTP/1.1 204 No Content\r\n\r\n").isDone);
  CHECK(readAll("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", false, true).isDone);
}

TEST(an_interim_answer_is_not_the_answer) {
  const Read read = readAll("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /api/uploads/x1\r\nContent-Length: 0\r\n\r\n");
  CHECK(read.isDone && read.answer.status == 201);
  CHECK_SAME(read.answer.location, "/api/uploads/x1");
}

TEST(refusals_become_errors) {
  CHECK(readAll("HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").answer.retryAfterSeconds == 7);
  CHECK(waystation::errorOf(401) == Error::Refused && waystation::errorOf(403) == Error::Refused);
  CHECK(waystation::errorOf(404) == Error::Unknown && waystation::errorOf(400) == Error::Rejected);
  for (const int busy : {408, 423, 425, 429, 503, 507}) CHECK(waystation::errorOf(static_cast<uint16_t>(busy)) == Error::Busy);
  CHECK(waystation::errorOf(500) == Error::HubFault && waystation::errorOf(302) == Error::BadAnswer);
}

TEST(nonsense_is_bad_and_harmless) {
  for (const char* bad : {"hello\r\n", "HTTP/1.1 2x0 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", "HTTP/2 200\r\n",
                          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"}) {
    if (!readAll(bad).isBad) failed(__FILE__, __LINE__, bad, "is not bad");
  }
  const Read longLines = readAll("HTTP/1.1 200 OK\r\nX: " + std::string(500, 'y') + "\r\nContent-Length: 2\r\n\r\nok");
  CHECK(longLines.isDone);
  CHECK_SAME(longLines.body, "ok");
}

TEST(a_request_is_written_as_it_must_be) {
  Address hub;
  CHECK(hub.parse("http://hub.local:8000/way/") == Error::None);
  Text<400> text;
  Request request(text, hub, "Device s:k");
  request.line("POST").add("/api/readings");
  request.body("application/json").add("[1]");
  CHECK(request.finish());
  CHECK_SAME(text.text(),
             "POST /way/api/readings HTTP/1.1\r\nHost: hub.local:8000\r\nAuthorization: Device s:k\r\n"
             "Content-Type: application/json\r\nContent-Length:          3\r\n\r\n[1]");
  Text<60> small;
  Request cut(small, hub, "");
  cut.line("GET").add("/api/commands/next");
  CHECK(!cut.finish());
}

TEST(addresses_are_read_with_care) {
  Address hub;
  CHECK(hub.parse("https://hub") == Error::None && hub.port == 443 && hub.isSecure);
  CHECK(hub.parse("http://10.0.0.1") == Error::None && hub.port == 80 && !hub.isSecure);
  for (const char* bad : {"hub:8000", "ftp://hub", "http://", "http://:80", "http://hub:0", "http://hub:70000", "http://hub:80x"}) {
    if (hub.parse(bad) == Error::None) failed(__FILE__, __LINE__, bad, "is taken");
  }
}

TEST(http_dates_are_read) {
  CHECK(waystation::parseHttpDate("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
  CHECK(waystation::parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777000ULL);
  CHECK(waystation::parseHttpDate("Tue, 29 Feb 2028 23:59:59 GMT") == 1835481599000ULL);
  CHECK(waystation::parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT") == 0);
  CHECK(waystation::parseHttpDate("Sun, 06 Foo 1994 08:49:37 GMT") == 0);
}
