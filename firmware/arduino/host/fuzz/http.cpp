// Whatever a hub (or somebody who plays one) answers: the reader ends, and pieces of any size mean the same.

#include <waystation/Http.h>

#include <string>

#include "fuzz.h"

using waystation::Answer;
using waystation::AnswerReader;

const char* const kSeeds[] = {
    "HTTP/1.1 200 OK\r\ndate: Sun, 29 Nov 2026 16:00:00 GMT\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, you all!\r\n0\r\nTrailer: x\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /api/uploads/x1\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 204 No\r\nUpload-Offset: 99\r\n\r\n",
    nullptr};

namespace {

struct Heard : waystation::BodySink {
  bool headIsHere(const Answer&) override { return true; }
  bool bodyComes(const uint8_t* bytes, size_t size) override {
    MUST(size > 0);
    body.append(reinterpret_cast<const char*>(bytes), size);
    return true;
  }
  std::string body;
};

struct Read {
  std::string body;
  bool isDone;
  bool isBad;
  uint16_t status;
};

Read read(const uint8_t* bytes, size_t size, size_t piece) {
  Heard heard;
  Answer answer;
  AnswerReader reader(answer, heard);
  reader.begin(false);
  for (size_t at = 0; at < size; at += piece) reader.feed(bytes + at, size - at < piece ? size - at : piece);
  reader.feedEnd();
  MUST(reader.isDone() || reader.isBad());
  return Read{heard.body, reader.isDone(), reader.isBad(), answer.status};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const Read whole = read(bytes, size, size == 0 ? 1 : size);
  for (const size_t piece : {size_t{1}, size_t{7}}) {
    const Read again = read(bytes, size, piece);
    MUST(again.isDone == whole.isDone && again.isBad == whole.isBad);
    if (whole.isDone) MUST(again.body == whole.body && again.status == whole.status);
  }
  return 0;
}
