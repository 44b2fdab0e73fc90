// Run a bundle's golden vectors: does the runtime, on this device, do what was verified?
//
//     build/golden ../../exports/edge-s
//     build/golden ../../exports/edge-s --json "Raspberry Pi 5" > device.json
//
// Exits with 1 where a variant differs by more than golden.json tolerates. --json prints the
// figures, with latencies, for `edgesr verify --merge`. Apache-2.0.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "edgesr.hpp"

namespace fs = std::filesystem;

constexpr int kSide = 128;  // pixels of the picture that is timed
constexpr int kRuns = 10;

struct Case {
  std::string name;
  double difference;  // the largest from what is expected; infinite where there is NaN
};

struct File {
  std::string variant, sha256;
  double limit;
  std::vector<Case> cases;
  int width, height;  // of the picture that is timed
  double p50_ms;

  bool passes() const {
    return std::all_of(cases.begin(), cases.end(),
                       [&](const Case& c) { return c.difference <= limit; });
  }
};

template <typename T>
std::vector<T> read_all(const fs::path& path, size_t count) {
  std::vector<T> values(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), std::streamsize(count * sizeof(T)));
  if (!file) throw std::runtime_error(path.string() + " is missing or too short");
  return values;
}

// Of a tile to its part of what is expected of a picture whose result is `across` pixels wide.
template <typename T>
double largest_difference(const std::vector<T>& tile, const std::vector<T>& expected, int across,
                          const Span& x, const Span& y, int scale) {
  double largest = 0;
  for (int row = scale * y.keep; row < scale * y.end; ++row) {
    for (int i = 3 * scale * x.keep; i < 3 * scale * x.end; ++i) {
      const int from = (row - scale * y.read) * 3 * scale * x.side + i - 3 * scale * x.read;
      const double difference = std::abs(double(tile[from]) - expected[row * 3 * across + i]);
      largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
    }
  }
  return largest;
}

std::vector<Case> run_cases(const fs::path& folder, Model& model, const std::string& variant) {
  const Json golden(folder / "golden.json");
  const int scale = model.scale;
  std::vector<Case> found;
  for (const auto& number : golden.keys("cases")) {
    const auto of = [&](const std::string& key) { return golden["cases." + number + "." + key]; };
    Picture lr(std::stoi(of("width")), std::stoi(of("height")));
    lr.rgb = read_all<uint8_t>(folder / of("input"), lr.rgb.size());
    const size_t count = lr.rgb.size() * size_t(scale * scale);
    const Floats floats = to_rows(read_all<float>(folder / of("output." + variant), count));
    const Bytes bytes = model.bytes ? to_bytes(floats) : Bytes{};
    double largest = 0;
    for_each_tile(model, lr, [&](const Picture& tile, const Span& x, const Span& y) {
      const int across = scale * lr.width;
      const double off =
          model.bytes ? largest_difference(model.run_bytes(tile), bytes, across, x, y, scale)
                      : largest_difference(model.run_floats(tile), floats, across, x, y, scale);
      largest = std::max(largest, off);
    });
    found.push_back({of("name"), largest});
  }
  return found;
}

// The median latency in ms.
double latency(Model& model, int width, int height) {
  const Picture lr(width, height);
  std::vector<double> taken;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    model.bytes ? void(model.run_bytes(lr)) : void(model.run_floats(lr));
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    if (run > 0) taken.push_back(ms.count());  // the first one plans memory
  }
  std::sort(taken.begin(), taken.end());
  return taken[kRuns / 2];
}

File run_variant(const fs::path& bundle, const Json& card, const std::string& variant, bool timed) {
  const Json golden(bundle / "golden/golden.json");
  Model model(bundle, card, variant);
  const auto limit = "tolerance." + variant + (model.bytes ? ".max_levels" : ".max_abs");
  const int side = (kSide + model.multiple - 1) / model.multiple * model.multiple;
  const int width = model.window_width ? model.window_width : side;
  const int height = model.window_height ? model.window_height : side;
  return {variant,
          card["sha256." + card["variants." + variant + ".file"]],
          std::stod(golden[limit]),
          run_cases(bundle / "golden", model, variant),
          width,
          height,
          timed ? latency(model, width, height) : 0};
}

void print_lines(const File& file) {
  for (const Case& c : file.cases) {
    std::printf("%s %s: %.2g of %.2g allowed, %s\n", file.variant.c_str(), c.name.c_str(),
                c.difference, file.limit, c.difference <= file.limit ? "passes" : "FAILS");
  }
}

void print_json(const std::string& name, const std::string& device, const std::vector<File>& all) {
  std::cout << "{\"format\": 1, \"bundle\": " << std::quoted(name)
            << ", \"device\": " << std::quoted(device)
            << ", \"runtime\": " << std::quoted(Runtime::version()) << ", \"files\": [";
  for (const File& file : all) {
    std::cout << (&file == &all[0] ? "\n" : ",\n")
              << "  {\"variant\": " << std::quoted(file.variant)
              << ", \"sha256\": " << std::quoted(file.sha256) << ", \"size\": \"" << file.width
              << "x" << file.height << "\", \"runs\": " << kRuns << ", \"p50_ms\": " << file.p50_ms
              << ", \"golden\": {";
    for (const Case& c : file.cases) {
      std::cout << (&c == &file.cases[0] ? "" : ", ") << std::quoted(c.name) << ": ";
      std::isfinite(c.difference) ? std::cout << c.difference : std::cout << "null";
    }
    std::cout << "}}";
  }
  std::cout << "\n]}\n";
}

int main(int count, char** words) {
  const bool json = count == 4 && words[2] == std::string("--json");
  if (count != 2 && !json) {
    std::cerr << "usage: golden BUNDLE [--json DEVICE]\n";
    return 2;
  }
  try {
    const Json card = read_card(words[1]);
    std::vector<File> files;
    for (const auto& variant : card.keys("variants")) {
      files.push_back(run_variant(words[1], card, variant, json));
      if (!json) print_lines(files.back());
    }
    if (json) print_json(card["name"], words[3], files);
    return std::all_of(files.begin(), files.end(), [](const File& f) { return f.passes(); }) ? 0
                                                                                             : 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
