// Run a bundle's golden vectors: does the runtime, on this device, do what was verified?
//
//     build/golden ../../exports/edge-s
//
// Exits with 1 where a variant differs by more than golden.json tolerates. Apache-2.0.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "edgesr.hpp"

namespace fs = std::filesystem;

template <typename T>
std::vector<T> read_all(const fs::path& path, size_t count) {
  std::vector<T> values(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), std::streamsize(count * sizeof(T)));
  if (!file) throw std::runtime_error(path.string() + " is missing or too short");
  return values;
}

template <typename T>
double largest_difference(const std::vector<T>& got, const std::vector<T>& expected) {
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(double(got[i]) - double(expected[i]));
    if (!(difference <= largest)) largest = difference;
    if (std::isnan(largest)) break;  // it is within no limit
  }
  return largest;
}

// Whether every variant gives on this device what golden.json expects, as closely as it says.
bool check_golden(const fs::path& bundle) {
  const Json card = read_card(bundle), golden(bundle / "golden/golden.json");
  bool all = true;
  for (const auto& variant : card.keys("variants")) {
    Model model(bundle, card, variant);
    const auto limits = "tolerance." + variant + (model.bytes ? ".max_levels" : ".max_abs");
    const double limit = std::stod(golden[limits]);
    for (const auto& number : golden.keys("cases")) {
      const auto of = [&](const std::string& key) { return golden["cases." + number + "." + key]; };
      Picture lr(std::stoi(of("width")), std::stoi(of("height")));
      lr.rgb = read_all<uint8_t>(bundle / "golden" / of("input"), lr.rgb.size());
      const size_t count = lr.rgb.size() * size_t(model.scale * model.scale);
      const auto expected = read_all<float>(bundle / "golden" / of("output." + variant), count);
      const double difference = model.bytes
                                    ? largest_difference(model.run_bytes(lr), to_bytes(expected))
                                    : largest_difference(model.run_planes(lr), expected);
      const bool passed = difference <= limit;
      std::printf("%s %s: %.2g of %.2g allowed, %s\n", variant.c_str(), of("name").c_str(),
                  difference, limit, passed ? "passes" : "FAILS");
      all = all && passed;
    }
  }
  return all;
}

int main(int count, char** words) {
  if (count != 2) {
    std::cerr << "usage: golden BUNDLE\n";
    return 2;
  }
  try {
    return check_golden(words[1]) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
