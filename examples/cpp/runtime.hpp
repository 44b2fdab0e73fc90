// The two back ends: a model file with the input "lr" and the output "sr". Apache-2.0.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>
#ifdef WITH_ONNXRUNTIME
#include <onnxruntime_cxx_api.h>
#else
#include <openvino/openvino.hpp>
#endif

using Shape = std::array<int64_t, 4>;

#ifdef WITH_ONNXRUNTIME
class Runtime {
 public:
  static std::string version() { return "ONNX Runtime " + Ort::GetVersionString(); }

  explicit Runtime(const std::filesystem::path& file)
      : session_(env_, file.c_str(), Ort::SessionOptions{}) {}

  template <typename T>
  std::vector<T> run(std::vector<T>& lr, const Shape& shape) {
    const auto cpu = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto input =
        Ort::Value::CreateTensor<T>(cpu, lr.data(), lr.size(), shape.data(), shape.size());
    const char *inputs[] = {"lr"}, *outputs[] = {"sr"};
    const std::vector<Ort::Value> result =
        session_.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);
    const T* sr = result[0].GetTensorData<T>();
    return {sr, sr + result[0].GetTensorTypeAndShapeInfo().GetElementCount()};
  }

 private:
  Ort::Env env_{ORT_LOGGING_LEVEL_WARNING, "edgesr"};
  Ort::Session session_;
};
#else
class Runtime {
 public:
  static std::string version() {
    return std::string("OpenVINO ") + ov::get_openvino_version().buildNumber;
  }

  // Unasked, OpenVINO computes in bfloat16 where the processor has it: another function.
  explicit Runtime(const std::filesystem::path& file)
      : request_(ov::Core()
                     .compile_model(file.string(), "CPU",
                                    ov::hint::inference_precision(ov::element::f32))
                     .create_infer_request()) {}

  template <typename T>
  std::vector<T> run(std::vector<T>& lr, const Shape& shape) {
    const ov::Shape sizes(shape.begin(), shape.end());
    request_.set_tensor("lr", ov::Tensor(ov::element::from<T>(), sizes, lr.data()));
    request_.infer();
    const auto sr = request_.get_tensor("sr");
    return {sr.data<T>(), sr.data<T>() + sr.get_size()};
  }

 private:
  ov::InferRequest request_;
};
#endif
