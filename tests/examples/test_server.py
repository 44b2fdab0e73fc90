"""The examples that serve an Upscaler over HTTP: what comes back, and how faults are told."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr import Upscaler

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "exports/edge-xs"


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def as_file(image: Image.Image, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("fastapi", reason="needs FastAPI: pip install fastapi httpx2")
    pytest.importorskip("httpx2", reason="its test client needs httpx2: pip install httpx2")
    monkeypatch.setenv("EDGESR_MODEL", str(MODEL))
    spec = importlib.util.spec_from_file_location("api", ROOT / "examples/server/api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "api", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(api: ModuleType) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    with TestClient(api.app) as client:
        yield client


def test_fastapi_gives_what_the_upscaler_gives(client: Any) -> None:
    answer = client.post("/upscale", content=as_file(picture()))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    expected = np.asarray(Upscaler(MODEL)(picture()))
    with Image.open(io.BytesIO(answer.content)) as found:
        assert np.array_equal(np.asarray(found), expected)


def test_fastapi_tells_faults_and_goes_on(
    client: Any, api: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short = as_file(Image.effect_noise((64, 64), 90))[:-600]
    floats = as_file(Image.new("F", (8, 8)), "TIFF")
    for data, status, words in (
        (b"no image", 415, "not an image"),
        (cut_short, 422, "damaged"),
        (floats, 422, "floating-point"),
    ):
        answer = client.post("/upscale", content=data)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    monkeypatch.setattr(api, "MOST_PIXELS", 100)
    assert client.post("/upscale", content=as_file(picture())).status_code == 413
    monkeypatch.setattr(api, "MOST_BYTES", 100)
    assert client.post("/upscale", content=as_file(picture())).status_code == 413
    monkeypatch.undo()
    assert client.post("/upscale", content=as_file(picture())).status_code == 200


def test_the_page_of_gradio_gives_what_the_upscaler_gives(tmp_path: Path) -> None:
    """In a process of its own: at its import Gradio leaves an event loop open."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("needs Gradio, which is large: pip install gradio")
    picture().save(tmp_path / "small.png")
    Upscaler(MODEL)(picture()).save(tmp_path / "expected.png")
    code = (
        "import page, numpy; from PIL import Image;"
        "found, expected = page.page.fn(Image.open('small.png')), Image.open('expected.png');"
        "assert numpy.array_equal(found, expected);"
        "page.page.fn(Image.new('F', (8, 8)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ
        | {"EDGESR_MODEL": str(MODEL), "GRADIO_ANALYTICS_ENABLED": "False"}
        | {"PYTHONPATH": os.pathsep.join((str(ROOT / "examples/server"), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("gradio.exceptions.Error: "), done.stderr
    assert "floating-point" in last
