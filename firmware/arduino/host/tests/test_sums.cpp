#include <waystation/Http.h>
#include <waystation/Sha256.h>

#include "check.h"

using waystation::Sha256;

namespace {

std::string sha256(const std::string& bytes, size_t piece) {
  Sha256 sum;
  for (size_t at = 0; at < bytes.size(); at += piece) sum.add(bytes.data() + at, std::min(piece, bytes.size() - at));
  char hex[Sha256::kHexRoom];
  sum.hex(hex);
  return hex;
}

}  // namespace

// FIPS 180-4 and the vectors of NIST's CAVP
TEST(sha256_has_the_vectors_of_its_standard) {
  CHECK_SAME(sha256("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_SAME(sha256("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_SAME(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 7),
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_SAME(sha256(std::string(1000000, 'a'), 977), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (size_t size : {55u, 56u, 63u, 64u, 65u, 119u, 120u}) {
    const std::string bytes(size, 'x');
    CHECK_SAME(sha256(bytes, 1), sha256(bytes, size));
  }
}

TEST(crc32_has_its_check_value) {
  CHECK(waystation::crc32("123456789", 9) == 0xCBF43926);
  CHECK(waystation::crc32("6789", 4, waystation::crc32("12345", 5)) == 0xCBF43926);
}
