"""The C++ of docs/embedding.md: it compiles without a warning and passes the golden vectors.

Needs g++, ONNX Runtime's headers where the compiler looks (CPATH), and the library of the Node
example's packages; skips otherwise.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/embedding.md"
MAIN = """
#include <fstream>
#include <iostream>
#include <iterator>

// MODEL INPUT WIDTH HEIGHT RESULT: one picture; prints the scale that the file says.
int main(int, char** argv) {
  std::ifstream input(argv[2], std::ios::binary);
  std::vector<uint8_t> rgb{std::istreambuf_iterator<char>(input), {}};
  Upscaler upscaler(argv[1]);
  const auto large = upscaler(rgb, std::atoi(argv[3]), std::atoi(argv[4]));
  std::ofstream(argv[5], std::ios::binary)
      .write(reinterpret_cast<const char*>(large.data()), static_cast<long>(large.size()));
  std::cout << upscaler.fact("edgesr.scale");
}
"""
FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


@pytest.fixture
def program(installed: Callable[[str], Path], tmp_path: Path) -> Path:
    """The page's class in a program of its own."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    probe = [compiler, "-x", "c++", "-fsyntax-only", "-include", "onnxruntime_cxx_api.h", "-"]
    if subprocess.run(probe, input=b"", capture_output=True, check=False).returncode:
        pytest.skip("needs ONNX Runtime's headers in CPATH")
    packages = installed("node") / "node_modules/onnxruntime-node"
    found = sorted(packages.glob("bin/*/linux/x64/libonnxruntime.so.1"))
    if not found:
        pytest.skip("needs the library of onnxruntime-node for Linux on x64")
    (code,) = re.findall(r"```cpp\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "app.cpp").write_text(code + MAIN)
    command = [compiler, *FLAGS, "app.cpp", "-o", "app", str(found[-1]), "-Wl,-rpath"]
    command[-1] += f",{found[-1].parent}"
    subprocess.run(command, cwd=tmp_path, check=True)
    return tmp_path / "app"


def test_the_class_of_the_page_compiles_and_passes_the_golden_vectors(
    program: Path, bundle: Path, tmp_path: Path
) -> None:
    golden = json.loads((bundle / "golden/golden.json").read_text())
    model, result = bundle / "model.uint8-io.onnx", tmp_path / "result.rgb"
    for case in golden["cases"]:
        size = (str(case["width"]), str(case["height"]))
        command = [program, model, bundle / "golden" / case["input"], *size, result]
        assert subprocess.check_output(command, text=True) == "4"
        expected = np.fromfile(bundle / "golden" / case["output"]["uint8-io"], "<f4")
        expected = expected.reshape(3, -1).T.ravel()  # planes to rows of RGB
        levels = np.floor(np.clip(expected, 0, 1) * 255 + 0.5)
        got = np.fromfile(result, np.uint8)
        assert np.abs(got - levels).max() <= golden["tolerance"]["uint8-io"]["max_levels"]
