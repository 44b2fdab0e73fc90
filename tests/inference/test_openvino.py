"""Upscaling by OpenVINO: the pixels, tiles and golden vectors of ONNX Runtime's."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from edgesr.bundle.card import read_card
from edgesr.bundle.check import check
from edgesr.cli import app
from edgesr.errors import MissingPackage, ModelError, VerifyError
from edgesr.extras import absent
from edgesr.inference.openvino import core
from edgesr.inference.upscaler import Upscaler

EXPORTS = Path(__file__).parents[2] / "exports"
Pixels = NDArray[np.uint8]


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    if "without" not in request.node.name:
        reason = "openvino is not installed: pip install edgesr[openvino]"
        pytest.importorskip("openvino", reason=reason)


@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8", "uint8-io"])
def test_the_pixels_are_those_of_onnx_runtime(variant: str) -> None:
    """int8 of a few values may round to the next of 256 steps, and what follows with it."""
    how = {"variant": variant, "threads": 1, "tile": 24}
    ours = Upscaler(EXPORTS / "edge-s", provider="cpu", **how)
    theirs = Upscaler(EXPORTS / "edge-s", runtime="openvino", **how)
    for shape in ((40, 61, 3), (33, 30, 4), (9, 12)):
        image = noise(*shape)
        off = np.abs(ours(image).astype(int) - theirs(image))
        assert off.max() <= {"int8": 8, "fp16": 2}.get(variant, 1)
        assert np.mean(off > 1) < (0.02 if variant == "int8" else 0.001)


def test_tiles_make_the_same_bytes_as_the_whole() -> None:
    how = {"runtime": "openvino", "threads": 1}
    image = noise(70, 91, 3)
    whole = Upscaler(EXPORTS / "edge-xs", tile=999, **how)(image)
    tiled = Upscaler(EXPORTS / "edge-xs", tile=19, **how)(image)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert np.mean(whole != tiled) < 0.001


TWO = """
import signal, sys, numpy as np
from edgesr import Upscaler
one, other = (Upscaler(sys.argv[1], runtime="openvino", threads=1) for _ in range(2))
for each in (one, other):
    each(np.zeros((9, 9, 3), np.uint8))
one.close(), other.close()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""


def test_after_two_models_of_which_the_first_is_closed_first_a_signal_is_heard() -> None:
    """Each `Core` of OpenVINO has a stack for signals, and gives back that of the one before."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", TWO, str(EXPORTS / "edge-xs")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_threads_processes_and_batches_are_as_with_onnx_runtime() -> None:
    shared = Upscaler(EXPORTS / "edge-xs", runtime="openvino", threads=1, tile=16)
    images = [noise(40, 30 + 9 * i, 3, seed=i) for i in range(4)]
    expected = [shared(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(shared, images * 3), expected * 3, strict=True):
            assert np.array_equal(found, right)
    again = pickle.loads(pickle.dumps(shared))
    assert np.array_equal(again(images[0]), expected[0])
    small = [noise(9, 8, 3, seed=i) for i in range(3)]
    for found, image in zip(shared.batch(small), small, strict=True):
        assert np.array_equal(found, shared(image))


def test_windows_of_one_size_are_those_of_onnx_runtime(fixed: Path) -> None:
    image = noise(61, 90, 3)
    ours, theirs = (
        Upscaler(fixed, variant="fp32-40x24", threads=1, runtime=runtime)(image).astype(int)
        for runtime in ("onnxruntime", "openvino")
    )
    assert np.abs(ours - theirs).max() <= 1


def test_the_golden_vectors_hold() -> None:
    rows = check(EXPORTS / "edge-xs", "openvino")
    assert {row.variant for row in rows} == set(read_card(EXPORTS / "edge-xs").variants)
    assert all(row.passed for row in rows)


def test_the_commands_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(12, 17, 3)).save("small.png")
    words = ["upscale", "edge-xs", "small.png", "--runtime", "openvino", "-o", "big.png"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    ours = Upscaler("edge-xs", provider="cpu")(noise(12, 17, 3)).astype(int)
    with Image.open("big.png") as found:
        assert np.abs(np.asarray(found) - ours).max() <= 1
    done = CliRunner().invoke(app, ["bundle", "check", "edge-xs", "--runtime", "openvino"])
    assert (done.exit_code, "PASSED" in done.output) == (0, True), done.output


def test_what_openvino_cannot_open_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"OpenVINO cannot open .*model\.onnx"):
        Upscaler(tmp_path, runtime="openvino")
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        Upscaler(tmp_path / "none.onnx", runtime="openvino")


def test_bfloat16_is_asked_for_and_is_near() -> None:
    """Where the processor has no bfloat16, OpenVINO takes float32 all the same."""
    image = noise(30, 31, 3) // 2
    exact, loose = (
        Upscaler(EXPORTS / "edge-xs", runtime="openvino", threads=1, exact=exact)(image).astype(int)
        for exact in (True, False)
    )
    assert np.abs(exact - loose).max() <= 12


def test_without_openvino_one_line_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr("edgesr.inference.openvino.core", core.__wrapped__)
    told = r'openvino is not installed: pip install "edgesr\[openvino\]"'
    with pytest.raises(MissingPackage, match=told):
        Upscaler(EXPORTS / "edge-xs", runtime="openvino")
    with pytest.raises(MissingPackage, match=told):
        check(EXPORTS / "edge-xs", "openvino")
    assert absent(ModuleNotFoundError(name="openvino")) is not None


def test_what_contradicts_itself_is_refused_without_openvino() -> None:
    model = EXPORTS / "edge-xs"
    with pytest.raises(VerifyError, match="runtime 'tvm': expected onnxruntime or openvino"):
        Upscaler(model, runtime="tvm")  # type: ignore[arg-type]
    with pytest.raises(VerifyError, match="'cuda' is ONNX Runtime's"):
        Upscaler(model, runtime="openvino", provider="cuda")
    with pytest.raises(VerifyError, match="exact = False is for the runtime openvino"):
        Upscaler(model, exact=False)
