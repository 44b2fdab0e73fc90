// A bundle that edgesr exported: its contract and its tiles. All that an app must know is in the
// bundle's card.json; docs/embedding.md tells what its facts mean. Apache-2.0, to copy into an app
// together with json.hpp and runtime.hpp.
#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "json.hpp"
#include "runtime.hpp"

using Bytes = std::vector<uint8_t>;
using Floats = std::vector<float>;

constexpr int kTile = 256;  // pixels of the small picture; bounds the memory, not the result

struct Picture {  // rows of RGB bytes
  int width, height;
  Bytes rgb;

  Picture(int w, int h) : width(w), height(h), rgb(size_t(3) * w * h) {}
  auto at(int x, int y) { return rgb.begin() + 3 * (ptrdiff_t(y) * width + x); }
};

// RGB bytes -> planes of red, green and blue, 0..1.
inline Floats to_planes(const Bytes& rgb) {
  Floats planes(rgb.size());
  for (size_t i = 0; i < rgb.size(); ++i) planes[i % 3 * rgb.size() / 3 + i / 3] = rgb[i] / 255.0f;
  return planes;
}

// Planes of red, green and blue -> rows of RGB.
inline Floats to_rows(const Floats& planes) {
  Floats rgb(planes.size());
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = planes[i % 3 * rgb.size() / 3 + i / 3];
  return rgb;
}

// Floats, nominally 0..1 -> bytes: clipped, rounded half up.
inline Bytes to_bytes(const Floats& values) {
  Bytes bytes(values.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (!std::isfinite(values[i])) throw std::runtime_error("the model returned NaN or infinity");
    bytes[i] = uint8_t(std::floor(255 * std::clamp(values[i], 0.0f, 1.0f) + 0.5f));
  }
  return bytes;
}

inline Json read_card(const std::filesystem::path& bundle) {
  if (!std::filesystem::exists(bundle / "card.json")) {
    throw std::runtime_error(bundle.string() + " is not a bundle: it has no card.json");
  }
  Json card(bundle / "card.json");
  if (card["format"] == "3") return card;
  throw std::runtime_error("card.json is of format " + card["format"] + ", expected 3");
}

// One variant of a bundle, open in the runtime.
struct Model {
  int scale, halo, least, multiple;
  bool tileable, bytes;
  int window_width, window_height;  // the one size that it takes; 0 where it takes any
  Runtime runtime;

  Model(const std::filesystem::path& bundle, const Json& card, const std::string& variant)
      : scale(std::stoi(card["scale"])),
        halo(std::stoi(card["halo"])),
        least(std::stoi(card["min_size"])),
        multiple(std::stoi(card.get("multiple", "1"))),
        tileable(card.get("tileable", "true") == "true"),
        bytes(type_of(card, variant) == "uint8"),
        window_width(side_of(card, variant, bytes ? "2" : "3")),
        window_height(side_of(card, variant, bytes ? "1" : "2")),
        runtime(bundle / card["variants." + variant + ".file"]) {}

  static std::string type_of(const Json& card, const std::string& variant) {
    std::string names;
    for (const auto& name : card.keys("variants")) names += (names.empty() ? "" : ", ") + name;
    const auto type = card.get("variants." + variant + ".input.dtype", "");
    if (type.empty()) throw std::runtime_error("no variant " + variant + ", only " + names);
    const auto colour = card.get("variants." + variant + ".input.colour", "");
    if (colour != "RGB") throw std::runtime_error(variant + " takes " + colour + ", expected RGB");
    if (type == "float32" || type == "uint8") return type;
    throw std::runtime_error(variant + " takes " + type + ", expected float32 or uint8");
  }

  static int side_of(const Json& card, const std::string& variant, const std::string& axis) {
    const auto& side = card["variants." + variant + ".input.shape." + axis];
    return std::isdigit(side[0]) ? std::stoi(side) : 0;  // else it is a name
  }

  // What a file of bytes makes of a picture of a size that it takes.
  Bytes run_bytes(const Picture& lr) {
    Bytes rgb = lr.rgb;
    return checked(lr, runtime.run(rgb, {1, lr.height, lr.width, 3}));
  }

  // What any other file makes of it: rows of RGB, floats that are nominally 0..1.
  Floats run_floats(const Picture& lr) {
    Floats planes = to_planes(lr.rgb);
    return to_rows(checked(lr, runtime.run(planes, {1, 3, lr.height, lr.width})));
  }

  template <typename T>
  std::vector<T> checked(const Picture& lr, std::vector<T> sr) const {
    if (sr.size() == lr.rgb.size() * size_t(scale * scale)) return sr;
    throw std::runtime_error("the model's result has another size than card.json says");
  }
};

// The picture, mirrored at its lower and right end up to a size that the model takes.
inline Picture padded(Picture& small, const Model& model) {
  const auto up = [&](int n, int window) {
    const int least = std::max({n, model.least, window});
    return (least + model.multiple - 1) / model.multiple * model.multiple;
  };
  const auto mirrored = [](int i, int n) { return i < n ? i : std::max(2 * (n - 1) - i, 0); };
  Picture whole(up(small.width, model.window_width), up(small.height, model.window_height));
  for (int y = 0; y < whole.height; ++y) {
    for (int x = 0; x < whole.width; ++x) {
      const auto from = small.at(mirrored(x, small.width), mirrored(y, small.height));
      std::copy_n(from, 3, whole.at(x, y));
    }
  }
  return whole;
}

inline void copy(Picture& from, int x, int y, Picture& to, int to_x, int to_y, int width,
                 int height) {
  for (int row = 0; row < height; ++row) {
    std::copy_n(from.at(x, y + row), 3 * width, to.at(to_x, to_y + row));
  }
}

// Along one axis: a tile is read from `read` on, and kept from `keep` to `end`, a halo inside of
// it but at the picture's own border: there the model pads as it does on the whole picture. All
// tiles have the length `side`, shifted inwards at the end: a runtime plans its memory anew for
// each shape, and some files take one alone.
struct Span {
  int read, side, keep, end;
};

// Of an axis that is padded from `length` to `whole`.
inline std::vector<Span> spans(int length, int whole, int window, const Model& model) {
  const int tile = (kTile + model.multiple - 1) / model.multiple * model.multiple;
  const int side = window ? window : std::min(whole, tile + 2 * model.halo);
  if (!window && !model.tileable) return {{0, whole, 0, length}};
  std::vector<Span> found;
  for (int keep = 0; keep < length;) {
    const int read = std::min(std::max(keep - model.halo, 0), whole - side);
    const int end = read + side == whole ? whole : read + side - model.halo;
    found.push_back({read, side, keep, std::min(end, length)});
    keep = end;
  }
  return found;
}

// Calls `take(lr, x, y)` for each tile of a picture: what the model is to see, and its spans.
template <typename Take>
void for_each_tile(const Model& model, Picture& small, Take take) {
  Picture whole = padded(small, model);
  for (const Span& y : spans(small.height, whole.height, model.window_height, model)) {
    for (const Span& x : spans(small.width, whole.width, model.window_width, model)) {
      Picture lr(x.side, y.side);
      copy(whole, x.read, y.read, lr, 0, 0, x.side, y.side);
      take(lr, x, y);
    }
  }
}

inline Picture enlarge(Model& model, Picture& small) {
  const int scale = model.scale;
  Picture large(scale * small.width, scale * small.height);
  for_each_tile(model, small, [&](const Picture& lr, const Span& x, const Span& y) {
    Picture sr(scale * x.side, scale * y.side);
    sr.rgb = model.bytes ? model.run_bytes(lr) : to_bytes(model.run_floats(lr));
    copy(sr, scale * (x.keep - x.read), scale * (y.keep - y.read), large, scale * x.keep,
         scale * y.keep, scale * (x.end - x.keep), scale * (y.end - y.keep));
  });
  return large;
}
