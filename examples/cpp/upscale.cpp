// Enlarge a PNG with a bundle that edgesr exported.
//
//     build/upscale ../../exports/edge-s photo.png big.png [--variant NAME]
//
// Apache-2.0.
#include <png.h>

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "edgesr.hpp"

Picture read_png(const std::string& path) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&png, path.c_str())) {
    throw std::runtime_error(path + ": " + png.message);
  }
  png.format = PNG_FORMAT_RGB;
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  Picture picture(int(png.width), int(png.height));
  const png_color white{255, 255, 255};  // what is transparent is laid on it
  if (!png_image_finish_read(&png, &white, picture.rgb.data(), 0, nullptr)) {
    throw std::runtime_error(path + ": " + png.message);
  }
  return picture;
}

void write_png(const Picture& picture, const std::string& path) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = png_uint_32(picture.width);
  png.height = png_uint_32(picture.height);
  png.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_file(&png, path.c_str(), 0, picture.rgb.data(), 0, nullptr)) {
    throw std::runtime_error(path + ": " + png.message);
  }
}

int main(int count, char** words) {
  const std::vector<std::string> given(words + 1, words + count);
  if (given.size() != 3 && !(given.size() == 5 && given[3] == "--variant")) {
    std::cerr << "usage: upscale BUNDLE PICTURE.png RESULT.png [--variant NAME]\n";
    return 2;
  }
  try {
    Model model(given[0], read_card(given[0]), given.size() == 5 ? given[4] : "fp32");
    Picture small = read_png(given[1]);
    write_png(enlarge(model, small), given[2]);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
