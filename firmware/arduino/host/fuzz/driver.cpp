#include <stdio.h>
#include <stdlib.h>

#include <random>
#include <string>
#include <vector>

#include "fuzz.h"

namespace {

std::mt19937 chance(1);

size_t below(size_t limit) { return limit == 0 ? 0 : chance() % limit; }

std::string bitten(std::string input, const std::vector<std::string>& seeds) {
  for (size_t bites = below(6) + 1; bites > 0; --bites) {
    const size_t at = below(input.size());
    switch (below(7)) {
      case 0: input.resize(at); break;
      case 1: input.insert(at, 1, static_cast<char>(chance())); break;
      case 2: if (!input.empty()) input.erase(at, below(4) + 1); break;
      case 3: if (!input.empty()) input[at] = static_cast<char>(chance()); break;
      case 4: if (!input.empty()) input[at] = static_cast<char>(input[at] ^ (1 << below(8))); break;
      case 5: input.insert(at, input.substr(below(input.size()), below(40))); break;
      default: {
        const std::string& other = seeds[below(seeds.size())];
        input.insert(at, other.substr(below(other.size()), below(60)));
      }
    }
  }
  return input;
}

}  // namespace

int main(int count, char** words) {
  const int rounds = count > 1 ? atoi(words[1]) : 20000;
  std::vector<std::string> inputs;
  for (const char* const* seed = kSeeds; *seed != nullptr; ++seed) inputs.emplace_back(*seed);
  const std::vector<std::string> seeds = inputs;
  for (int round = 0; round < rounds; ++round) {
    const std::string input = bitten(inputs[below(inputs.size())], seeds);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    if (inputs.size() < 500) inputs.push_back(input);
  }
  printf("%d inputs\n", rounds);
  return 0;
}
