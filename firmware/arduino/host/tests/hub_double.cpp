#include "hub_double.h"

#include <stdlib.h>
#include <time.h>
#include <waystation/Json.h>
#include <waystation/Sha256.h>

#include <algorithm>

#include "check.h"

using waystation::Json;

namespace {

std::string textOf(const Json& json) {
  char into[512];
  return json.text(into, sizeof into) ? into : "";
}

std::string quoted(const std::string& words) { return "\"" + words + "\""; }

bool begins(const std::string& words, const char* with) { return words.compare(0, strlen(with), with) == 0; }

std::string dateOf(uint64_t ms) {
  const auto seconds = static_cast<time_t>(ms / 1000);
  char words[40];
  strftime(words, sizeof words, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&seconds));
  return words;
}

}  // namespace

std::string sha256Of(const std::string& bytes) {
  waystation::Sha256 sum;
  sum.add(bytes.data(), bytes.size());
  char hex[waystation::Sha256::kHexRoom];
  sum.hex(hex);
  return hex;
}

int HubDouble::connect(const char*, uint16_t) {
  in_.clear();
  out_.clear();
  isOpen_ = isThere;
  return isThere ? 1 : 0;
}

void HubDouble::stop() {
  isOpen_ = false;
  in_.clear();
  out_.clear();
}

size_t HubDouble::write(const uint8_t* bytes, size_t size) {
  if (!isOpen_) return 0;
  if (!isThere) {
    stop();
    return 0;
  }
  in_.append(reinterpret_cast<const char*>(bytes), size);
  if (cutRequestAt > 0 && in_.size() >= cutRequestAt) {
    in_.resize(cutRequestAt);
    cutRequestAt = 0;
    Asked asked;
    parse(asked);
    if (asked.method == "PATCH") said(asked);  // it keeps what has come
    stop();
    return size;
  }
  answer();
  return size;
}

int HubDouble::read(uint8_t* into, size_t room) {
  const size_t size = std::min(room, out_.size());
  memcpy(into, out_.data(), size);
  out_.erase(0, size);
  return static_cast<int>(size);
}

// True when it is whole; of one that is not, what has come.
bool HubDouble::parse(Asked& asked) {
  const size_t headEnds = in_.find("\r\n\r\n");
  if (headEnds == std::string::npos) return false;
  const std::string head = in_.substr(0, headEnds);
  asked.method = head.substr(0, head.find(' '));
  const size_t pathAt = asked.method.size() + 1;
  asked.path = head.substr(pathAt, head.find(' ', pathAt) - pathAt);
  for (size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
    const size_t colon = head.find(':', at);
    std::string name = head.substr(at + 2, colon - at - 2);
    for (char& letter : name) letter = static_cast<char>(tolower(letter));
    const size_t value = head.find_first_not_of(' ', colon + 1);
    asked.headers[name] = head.substr(value, head.find("\r\n", value) - value);
  }
  asked.body = in_.substr(headEnds + 4);
  const auto length = static_cast<size_t>(atoi(asked.headers["content-length"].c_str()));
  CHECK(asked.body.size() <= length);
  return asked.body.size() == length;
}

void HubDouble::answer() {
  Asked asked;
  if (!parse(asked)) return;
  in_.clear();
  ++calls;
  const Said told = refuseWith != 0 ? Said{refuseWith, "{}", ""} : said(asked);
  if (loseAnswers > 0) {
    --loseAnswers;
    stop();
    return;
  }
  out_ = "HTTP/1.1 " + std::to_string(told.status) + " So\r\n" + told.headers;
  if (hasDate) out_ += "Date: " + dateOf(nowMs) + "\r\n";
  if (told.status != 204) out_ += "Content-Length: " + std::to_string(told.body.size()) + "\r\n";
  out_ += "\r\n";
  if (asked.method != "HEAD") out_ += told.body;
  if (cutAnswerAt == 0 || cutAnswerAt >= out_.size()) return;
  out_.resize(cutAnswerAt);
  cutAnswerAt = 0;
  isOpen_ = false;
}

Said HubDouble::said(const Asked& asked) {
  const std::string& path = asked.path;
  if (path == "/health/readyz") return {200, "{}", ""};
  if (path == "/api/claim") {
    const Json json(asked.body.data(), asked.body.size());
    claimedWith = textOf(json["code"]) + " " + textOf(json["api_key"]);
    return {200, "{\"key\":\"k1234567\",\"serial\":\"s-1\",\"name\":\"Barn\",\"mqtt\":null}", ""};
  }
  CHECK(!asked.headers.at("authorization").empty());
  if (path == "/api/readings") return batch(readings, asked);
  if (path == "/api/messages") return batch(messages, asked);
  if (begins(path, "/api/commands")) return saidToCommands(asked);
  if (begins(path, "/api/packages")) return saidToPackages(asked);
  if (begins(path, "/api/blobs/")) return blob(asked);
  if (begins(path, "/api/uploads")) return saidToUploads(asked);
  return {404, "{}", ""};
}

Said HubDouble::batch(std::vector<std::string>& into, const Asked& asked) {
  CHECK(Json::isValid(asked.body.data(), asked.body.size()));
  if (!poison.empty() && asked.body.find(poison) != std::string::npos) return {400, "{}", ""};
  const Json list(asked.body.data(), asked.body.size());
  for (Json one = list.first(); one.found(); one = one.next()) {
    const std::string text(one.raw(), one.rawSize());
    if (std::find(into.begin(), into.end(), text) == into.end()) into.push_back(text);
  }
  return {200, "{\"stored\":1}", ""};
}

HubCommand& HubDouble::command(const std::string& id) {
  for (HubCommand& one : commands) {
    if (one.id == id) return one;
  }
  failed(__FILE__, __LINE__, "no command", id);
}

Said HubDouble::saidToCommands(const Asked& asked) {
  if (asked.method == "GET") {
    for (HubCommand& one : commands) {
      if (one.state == "lost" || one.state == "done" || one.state == "failed" || one.state == "rejected") continue;
      if (one.state != "queued" && one.once) continue;  // never handed out again
      one.state = "leased";
      ++one.attempt;
      return {200, "{\"command\":{\"id\":" + quoted(one.id) + ",\"name\":" + quoted(one.name) + ",\"parameters\":" + one.parameters +
                       ",\"attempt\":" + std::to_string(one.attempt) + ",\"once\":" + (one.once ? "true" : "false") +
                       ",\"lease_seconds\":60,\"expires_at\":null}}", ""};
    }
    return {200, "{\"command\":null}", ""};
  }
  CHECK(Json::isValid(asked.body.data(), asked.body.size()));
  const Json list(asked.body.data(), asked.body.size());
  for (Json one = list.first(); one.found(); one = one.next()) {
    HubCommand& found = command(textOf(one["id"]));
    const std::string state = textOf(one["state"]);
    const bool isOver = found.state == "done" || found.state == "failed" || found.state == "rejected";
    if (isOver) CHECK_SAME(state == "running" ? found.state : state, found.state);
    if (isOver) continue;
    found.state = state;
    if (one["result"].found()) found.result.assign(one["result"].raw(), one["result"].rawSize());
  }
  return {200, "{\"outcomes\":[]}", ""};
}

Said HubDouble::saidToPackages(const Asked& asked) {
  if (asked.method == "POST") {
    const Json json(asked.body.data(), asked.body.size());
    for (HubPackage& one : packages) {
      if (one.id != textOf(json["id"])) continue;
      one.state = textOf(json["state"]);
      one.detail = textOf(json["detail"]);
      return {200, "{}", ""};
    }
    return {404, "{}", ""};
  }
  const size_t at = asked.path.find("from=");
  const auto from = at == std::string::npos ? 0 : static_cast<size_t>(atoi(asked.path.c_str() + at + 5));
  for (const HubPackage& one : packages) {
    if (one.state != "staged" && one.state != "deploying") continue;
    std::string manifest;
    std::string members;
    size_t total = 0;
    for (size_t i = 0; i < one.members.size(); ++i) {
      const std::string& name = one.members[i].first;
      const std::string& content = one.members[i].second;
      const std::string size = std::to_string(content.size());
      manifest += sha256Of(content) + " " + size + " " + name + "\n";
      total += content.size();
      if (i < from || i >= from + 2) continue;  // a short page, so that there are some
      members += (members.empty() ? "" : ",") + std::string("{\"name\":") + quoted(name) + ",\"size_bytes\":" + size +
                 ",\"sha256\":" + quoted(sha256Of(content)) + "}";
    }
    return {200, "{\"package\":{\"id\":" + quoted(one.id) + ",\"name\":\"p\",\"type\":" + quoted(one.type) +
                     ",\"version\":\"1\",\"count\":" + std::to_string(one.members.size()) + ",\"total_bytes\":" + std::to_string(total) +
                     ",\"manifest_sha256\":" + quoted(sha256Of(manifest)) + ",\"from\":" + std::to_string(from) + ",\"members\":[" +
                     members + "]}}", ""};
  }
  return {200, "{\"package\":null}", ""};
}

Said HubDouble::blob(const Asked& asked) {
  const std::string wanted = asked.path.substr(strlen("/api/blobs/"));
  for (const HubPackage& one : packages) {
    for (const auto& member : one.members) {
      if (sha256Of(member.second) != wanted) continue;
      if (member.second == damaged) return {200, std::string(damaged.size(), '?'), ""};
      const auto range = asked.headers.find("range");
      if (range == asked.headers.end()) return {200, member.second, ""};
      CHECK_SAME(asked.headers.at("if-range"), quoted(wanted));
      return {206, member.second.substr(static_cast<size_t>(atoi(range->second.c_str() + strlen("bytes=")))), ""};
    }
  }
  return {404, "{}", ""};
}

Said HubDouble::saidToUploads(const Asked& asked) {
  const std::string whole = "/api/uploads/whole?name=";
  if (begins(asked.path, whole.c_str())) {
    const size_t end = asked.path.find("&sha256=");
    if (asked.path.substr(end + 8) != sha256Of(asked.body)) return {409, "{}", ""};
    files[asked.path.substr(whole.size(), end - whole.size())] = asked.body;
    return {200, "{}", ""};
  }
  if (asked.method == "POST") {
    upload.clear();
    uploadLength = static_cast<size_t>(atoi(asked.headers.at("upload-length").c_str()));
    uploadName = asked.headers.at("upload-metadata");
    return {201, "", "Location: /api/uploads/u1\r\nUpload-Offset: 0\r\n"};
  }
  CHECK_SAME(asked.path, "/api/uploads/u1");
  if (asked.method == "PATCH") {
    if (static_cast<size_t>(atoi(asked.headers.at("upload-offset").c_str())) != upload.size()) return {409, "{}", ""};
    upload += asked.body;
    if (upload.size() == uploadLength) files[uploadName] = upload;
  }
  return {asked.method == "PATCH" ? 204 : 200, "", "Upload-Offset: " + std::to_string(upload.size()) + "\r\n"};
}
