// HTTP/1.1 as this library speaks it, without any input or output: a request is text that is written into a buffer, an
// answer is read from pieces as they come. Content-Length, chunked and until-the-end bodies; no redirects.
#pragma once

#include "Error.h"
#include "Text.h"

namespace waystation {

// Where the hub is: http://host:port/prefix
struct Address {
  static constexpr size_t kHostRoom = 64;
  static constexpr size_t kPrefixRoom = 32;

  char host[kHostRoom] = "";
  char prefix[kPrefixRoom] = "";
  uint16_t port = 0;
  bool isSecure = false;

  Error parse(const char* url);
};

// `request.line("POST").add("/api/uploads"); request.header("Upload-Length").add(12); Writer& body = request.body("…");`
class Request {
 public:
  Request(Writer& to, const Address& hub, const char* authorization)
      : to_(to), hub_(hub), authorization_(authorization) {}

  Writer& line(const char* method);  // the path is added to what it returns
  Writer& header(const char* name);
  Writer& body(const char* type);  // what is added now is the body
  void file(const char* type, uint32_t size);  // the body comes piece by piece, by Service::body()
  void patience(uint32_t ms) { patienceMs_ = ms; }

  // Ends the head or the body. False when it did not fit.
  bool finish();
  uint32_t fileBytes() const { return fileBytes_; }
  uint32_t patienceMs() const { return patienceMs_; }
  bool isHead() const { return isHead_; }

 private:
  void endLine();

  enum class At : uint8_t { Nothing, Line, Header, Body, File };

  Writer& to_;
  const Address& hub_;
  const char* authorization_;
  At at_ = At::Nothing;
  bool isHead_ = false;
  size_t lengthAt_ = 0;
  size_t bodyAt_ = 0;
  uint32_t fileBytes_ = 0;
  uint32_t patienceMs_ = 10000;
};

// What the hub said.
struct Answer {
  static constexpr size_t kLocationRoom = 96;

  Error error = Error::None;  // also of the status: isOk() is a 2xx that came whole
  uint16_t status = 0;        // 0: none came
  bool closes = false;
  bool isCut = false;         // the body was larger than the buffer: only its beginning is there
  uint32_t retryAfterSeconds = 0;
  uint64_t dateMs = 0;
  int64_t length = -1;        // of the body, if it was told
  int64_t uploadOffset = -1;
  char location[kLocationRoom] = "";
  const char* body = nullptr;
  size_t size = 0;
};

Error errorOf(uint16_t status);

class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual bool headIsHere(const Answer& answer) = 0;              // false ends it
  virtual bool bodyComes(const uint8_t* bytes, size_t size) = 0;  // false ends it
};

class AnswerReader {
 public:
  AnswerReader(Answer& answer, BodySink& sink) : answer_(answer), sink_(sink) {}

  void begin(bool isHeadRequest);
  // All of the piece is taken; what comes after the end of the answer is ignored, and the connection then to be closed.
  void feed(const uint8_t* bytes, size_t size);
  void feedEnd();  // the connection has ended

  bool isDone() const { return at_ == At::Done; }
  bool isBad() const { return at_ == At::Bad; }
  bool isUntouched() const { return at_ == At::Status && lineSize_ == 0; }

 private:
  enum class At : uint8_t { Status, Header, Body, UntilEnd, ChunkSize, ChunkBody, ChunkEnd, Trailer, Done, Bad };

  void takeLine();
  void takeStatus();
  void takeHeader();
  void headEnds();
  void takeChunkSize();
  size_t takeBody(const uint8_t* bytes, size_t size);
  const char* valueOf(const char* name) const;

  static constexpr size_t kLineRoom = 160;

  Answer& answer_;
  BodySink& sink_;
  At at_ = At::Status;
  bool isHeadRequest_ = false;
  bool isChunked_ = false;
  bool isLineCut_ = false;
  uint64_t left_ = 0;  // of the body or chunk
  uint32_t headers_ = 0;
  size_t lineSize_ = 0;
  char line_[kLineRoom];
};

}  // namespace waystation
