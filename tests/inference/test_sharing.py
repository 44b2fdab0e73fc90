"""One upscaler for an app: threads, processes, batches, its end, and no word on a terminal."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgesr
from edgesr.errors import DataError, ModelError
from edgesr.inference import memory
from edgesr.inference.infer import Session
from edgesr.inference.model import Model
from edgesr.inference.upscaler import Upscaler

EXPORTS = Path(__file__).parents[2] / "exports"
EDGE = EXPORTS / "edge-xs"
Pixels = NDArray[np.uint8]


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EDGE, threads=1, provider="cpu")


@pytest.mark.parametrize("tile", ["auto", 16])
def test_threads_with_images_of_several_sizes_share_one_instance(tile: Any) -> None:
    """Tiles of another size reopen the session, while other threads are in the middle of theirs."""
    shapes = [(20, 31, 3), (64, 40, 3), (33, 90), (47, 21, 4), (90, 25, 3), (20, 31, 3)]
    images = [noise(*shape, seed=i) for i, shape in enumerate(shapes)]
    alone = Upscaler(EDGE, threads=1, provider="cpu", tile=tile)
    expected = [alone(image) for image in images]
    shared = Upscaler(EDGE, threads=1, provider="cpu", tile=tile)
    together = threading.Barrier(len(images))

    def work(place: int) -> bool:
        together.wait()
        turns = images[place:] + images[:place]
        right = expected[place:] + expected[:place]
        return all(np.array_equal(shared(a), b) for a, b in zip(turns, right, strict=True))

    with ThreadPoolExecutor(len(images)) as pool:
        assert all(pool.map(work, range(len(images))))


def test_an_image_goes_through_one_session_from_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was a race: a second image's windows replaced the session of the first one's."""
    opened: list[Session] = []
    original = Model._session

    def recorded(model: Model) -> Session:
        opened.append(original(model))
        return opened[-1]

    monkeypatch.setattr(Model, "_session", recorded)
    shared = Upscaler(EDGE, threads=1, provider="cpu", tile=16)
    first, second = noise(60, 60, 3), noise(30, 90, 3)
    expected = shared(first)
    bands = shared.bands(first, shared.windows(first))
    found = [next(bands)]
    shared(second)
    assert len(opened) == 2
    found += list(bands)
    assert np.array_equal(np.concatenate(found), expected)


def test_a_pickle_opens_the_file_again_with_the_same_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXPORTS.parent)
    first = Upscaler("edge-xs", variant="int8", threads=1, provider="cpu", tile=9, wrap=True)
    data = pickle.dumps(first)
    monkeypatch.chdir(tmp_path)  # another folder, where the name means nothing
    second = pickle.loads(data)
    image = noise(30, 21, 3)
    assert np.array_equal(first(image), second(image))
    assert (second.tile, second.scale) == (9, 4)


def test_a_process_pool_takes_an_upscaler_along(upscaler: Upscaler) -> None:
    images = [noise(12, 15, 3, seed=i) for i in range(4)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = list(pool.map(upscaler, images))
    assert all(np.array_equal(f, upscaler(i)) for f, i in zip(found, images, strict=True))


def test_a_closed_upscaler_says_so() -> None:
    image = noise(8, 9, 3)
    with Upscaler(EDGE, threads=1, provider="cpu", tile=4) as upscaler:
        bands = upscaler.bands(image, upscaler.windows(image))
        whole = upscaler(image)
    assert np.array_equal(np.concatenate(list(bands)), whole)  # begun before, it ends as it would
    for use in (upscaler, lambda i: upscaler.batch([i]), lambda _: pickle.dumps(upscaler)):
        with pytest.raises(ModelError, match=r"edge-xs.*is closed\nOpen another"):
            use(image)
    upscaler.close()


@pytest.mark.parametrize("shape", [(12, 17, 3), (12, 17), (12, 17, 4)])
@pytest.mark.parametrize("how", [{}, {"wrap": True}, {"variant": "int8"}, {"variant": "uint8-io"}])
def test_a_batch_is_what_calls_give(how: dict[str, Any], shape: tuple[int, ...]) -> None:
    upscaler = Upscaler(EDGE, threads=1, provider="cpu", **how)
    images = [noise(*shape, seed=i) for i in range(3)]
    found = upscaler.batch(images)
    assert all(np.array_equal(f, upscaler(i)) for f, i in zip(found, images, strict=True))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that the session is run on from now on."""
    from edgesr.inference import model

    shapes, infer = [], model.infer

    def run(session: Session, lr: NDArray[Any]) -> NDArray[Any]:
        shapes.append(lr.shape)
        return infer(session, lr)

    monkeypatch.setattr(model, "infer", run)
    return shapes


def test_images_of_the_same_size_go_through_the_model_in_one_run(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [noise(12, 17, 3), noise(9, 9, 3), noise(12, 17, 3, seed=1)]
    expected = [upscaler(image) for image in images]
    shapes = counted(monkeypatch)
    found = upscaler.batch(images)
    assert shapes == [(2, 3, 12, 17), (1, 3, 9, 9)]
    assert all(np.array_equal(f, e) for f, e in zip(found, expected, strict=True))
    assert [each.shape for each in upscaler.batch(np.stack([images[0]] * 2))] == [(48, 68, 3)] * 2
    assert upscaler.batch([]) == []


def test_a_batch_keeps_to_the_memory(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 30,000 bytes a pixel, 130 x 130 of them are 507 MB: one at a time."""
    monkeypatch.setattr(Model, "bytes_per_pixel", 28_000)
    shapes = counted(monkeypatch)
    upscaler.batch([noise(130, 130, 3)] * 2)
    assert [shape[0] for shape in shapes] == [1, 1]
    monkeypatch.setattr(Model, "bytes_per_pixel", 7_000)
    del shapes[:]
    upscaler.batch([noise(130, 130, 3)] * 5)
    assert [shape[0] for shape in shapes] == [4, 1]


def test_a_batch_of_pictures_gives_pictures(upscaler: Upscaler) -> None:
    pictures = [Image.fromarray(noise(9, 7, 3, seed=i)) for i in range(2)]
    pictures[1].info["icc_profile"] = b"\0" * 16 + b"RGB " + b"\0" * 108
    found = upscaler.batch(pictures)
    assert [each.size for each in found] == [(28, 36)] * 2
    assert "icc_profile" in found[1].info
    assert "icc_profile" not in found[0].info
    assert np.array_equal(np.asarray(found[0]), np.asarray(upscaler(pictures[0])))


def test_a_bad_image_in_a_batch_is_refused_before_any_work(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = counted(monkeypatch)
    with pytest.raises(DataError, match=r"float32 \(4, 4, 3\)"):
        upscaler.batch([noise(4, 4, 3), np.zeros((4, 4, 3), np.float32)])
    assert not shapes


def test_one_call_enlarges_one_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # models that come along work by name in any folder
    image = noise(6, 7, 3)
    assert edgesr.upscale(image).shape == (24, 28, 3)
    assert np.array_equal(edgesr.upscale(image, "edge-xs"), edgesr.upscale(image, EDGE))


def test_a_library_call_prints_nothing_and_tells_its_logger(
    upscaler: Upscaler, caplog: pytest.LogCaptureFixture
) -> None:
    picture = Image.fromarray(noise(4, 4, 3)).convert("CMYK")
    with caplog.at_level(logging.WARNING, "edgesr"):
        upscaler(picture)
    assert "image: CMYK is converted to RGB" in caplog.messages
    code = (
        "import sys, edgesr; from PIL import Image;"
        f"edgesr.upscale(Image.new('CMYK', (4, 4)), {str(EDGE)!r});"
        "sys.exit('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_command_says_what_the_library_logs(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4)).save(tmp_path / "print.tif")
    words = ["upscale", str(EDGE), str(tmp_path / "print.tif"), "-o", str(tmp_path / "big.png")]
    command = [sys.executable, "-m", "edgesr", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"warning: {tmp_path}/print.tif: CMYK is converted to RGB\n"


def test_the_command_and_the_class_mean_the_same_by_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from edgesr.cli import app
    from edgesr.inference import upscaler as module

    budgets = []
    original = module.Upscaler.__init__

    def recorded(self: Upscaler, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        budgets.append(self.budget)

    monkeypatch.setattr(module.Upscaler, "__init__", recorded)
    monkeypatch.setattr(memory, "resident", lambda: 10**9)
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    for number, amount in enumerate((None, "2GB")):
        large = tmp_path / f"{number}.png"
        words = ["upscale", str(EDGE), str(tmp_path / "a.png"), "-o", str(large)]
        done = CliRunner().invoke(app, [*words, *(["--memory", amount] if amount else [])])
        assert done.exit_code == 0, done.output
        Upscaler(EDGE, memory=amount)
    assert budgets == [1_512_000_000, 1_512_000_000, 2 * 10**9, 2 * 10**9]
