// A bundle's JSON files, without a library; an app that has one uses that. Apache-2.0.
#pragma once

#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

// All of a file as one table: "variants.fp32.file" -> "model.onnx"; a list's keys are 0, 1, ...
class Json {
 public:
  explicit Json(const std::filesystem::path& path) : path_(path.string()) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path_ + " cannot be opened");
    file.exceptions(std::ios::failbit | std::ios::badbit | std::ios::eofbit);
    try {
      read(file, "");
    } catch (const std::ios::failure&) {
      throw std::runtime_error(path_ + " is not JSON");
    }
  }

  const std::string& operator[](const std::string& key) const { return look_up(facts_, key); }

  std::string get(const std::string& key, const std::string& otherwise) const {
    return facts_.count(key) ? facts_.at(key) : otherwise;
  }

  // The keys of a table or list, in the file's order.
  const std::vector<std::string>& keys(const std::string& key) const { return look_up(keys_, key); }

 private:
  template <typename T>
  const T& look_up(const std::map<std::string, T>& table, const std::string& key) const {
    const auto found = table.find(key);
    if (found == table.end()) throw std::runtime_error(path_ + " does not state " + key);
    return found->second;
  }

  void read(std::istream& in, const std::string& key) {
    const int first = (in >> std::ws).peek();
    if (first == '{' || first == '[') return read_items(in, key);
    std::string& fact = facts_[key];
    if (first == '"') {
      in >> std::quoted(fact);
      return;
    }
    while (std::isalnum(in.peek()) || std::strchr("+-.", in.peek())) fact += char(in.get());
    if (fact.empty()) in.setstate(std::ios::failbit);
  }

  void read_items(std::istream& in, const std::string& key) {
    const int last = in.get() == '{' ? '}' : ']';
    std::vector<std::string>& keys = keys_[key];
    while ((in >> std::ws).peek() != last) {
      std::string name = std::to_string(keys.size());
      if (last == '}') (in >> std::quoted(name) >> std::ws).ignore();
      keys.push_back(name);
      read(in, key.empty() ? name : key + "." + name);
      if ((in >> std::ws).peek() == ',') in.get();
    }
    in.get();
  }

  std::string path_;
  std::map<std::string, std::string> facts_;
  std::map<std::string, std::vector<std::string>> keys_;
};
