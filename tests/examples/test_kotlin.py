"""The Kotlin of docs/embedding.md: it compiles against the classes of onnxruntime-android.

Needs kotlinc on the path and the AAR, or its classes.jar, named by ONNXRUNTIME_AAR; skips
otherwise, for no package that the tests install holds either.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/embedding.md"
AROUND = """
import ai.onnxruntime.*
import java.io.InputStream
import java.nio.ByteBuffer

object assets { fun open(name: String): InputStream = TODO("Android's AssetManager: $name") }

fun delegates(options: OrtSession.SessionOptions) {
    options.addXnnpack(emptyMap())
    options.addNnapi()
}
"""


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """The jar of ONNX Runtime's classes."""
    named = os.environ.get("ONNXRUNTIME_AAR")
    if not named:
        pytest.skip("needs onnxruntime-android: ONNXRUNTIME_AAR=FILE")
    if not named.endswith(".aar"):
        return Path(named)
    with zipfile.ZipFile(named) as archive:
        return Path(archive.extract("classes.jar", tmp_path))


def test_the_code_of_the_page_compiles_without_a_warning(classes: Path, tmp_path: Path) -> None:
    compiler = shutil.which("kotlinc")
    if compiler is None:
        pytest.skip("needs kotlinc")
    (code,) = re.findall(r"```kotlin\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "App.kt").write_text(AROUND + code)
    command = [compiler, "-Werror", "-cp", str(classes), "-d", str(tmp_path / "out"), "App.kt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
