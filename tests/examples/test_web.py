"""The web example, in a real browser: the pixels of edgesr, and a page that one can use."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from edgesr import Upscaler
from edgesr.data import photos
from edgesr.data.degrade import bicubic_up, to_image, to_tensor
from edgesr.inference.suited import stated_quality
from tests.examples.both import check_device, check_windowed_pixels

OpenBrowser = Callable[..., Any]
STATE = "document.getElementById('app').dataset.state"
READY = f"['done', 'failed', 'cancelled'].includes({STATE})"


@pytest.fixture
def page(installed: Callable[[str], Path]) -> Path:
    return installed("web")


@pytest.fixture
def address(page: Path, bundle: Path, serve: Callable[[Path, Path], str]) -> str:
    return serve(page, bundle)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A piece of the held-out photograph that takes four tiles."""
    pixels = photos.decode(photos.embedded().validation[0])[:150, 100:270]
    path = tmp_path / "photograph.png"
    Image.fromarray(pixels).save(path)
    return path


def text(browser: Any, name: str) -> str:
    words: str = browser.evaluate(f"document.getElementById('{name}').textContent")
    return words


def canvas(browser: Any, name: str) -> np.ndarray:
    url = browser.evaluate(f"document.getElementById('{name}').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def enlarge(browser: Any, picture: Path) -> None:
    """Have the page enlarge a file, and wait until the canvas holds it."""
    browser.wait(READY)
    browser.evaluate(f"delete {STATE}")
    browser.choose("#file", picture)
    browser.wait(READY)
    assert browser.evaluate(STATE) == "done", text(browser, "message")


def test_every_variant_passes_its_golden_vectors(browser: Any, address: str) -> None:
    browser.open(f"{address}?golden&provider=wasm")
    browser.wait(READY)
    assert browser.evaluate("document.getElementById('golden').dataset.passed") == "true"
    assert text(browser, "golden") == "6 of 6 pass"
    assert browser.evaluate("document.querySelectorAll('#rows .passes').length") == 6
    assert browser.said == []


def test_a_file_with_float16_ends_passes_its_golden_vectors(
    browser: Any, page: Path, half_bundle: Path, serve: Callable[[Path, Path], str]
) -> None:
    browser.open(f"{serve(page, half_bundle)}?golden&provider=wasm")
    browser.wait(READY)
    assert text(browser, "golden") == "6 of 6 pass"
    assert browser.said == []


def test_where_the_address_names_the_device_there_are_figures_for_verify(
    browser: Any, address: str, bundle: Path
) -> None:
    browser.open(f"{address}?golden&provider=wasm&device=A%20%22phone%22")
    browser.wait(READY)
    link = browser.evaluate("document.getElementById('figures').href")
    text = unquote(link.removeprefix("data:application/json,"))
    check_device(text, bundle)
    assert "WebAssembly, " in text
    assert browser.said == []


def test_the_golden_vectors_pass_on_an_emulated_gpu(
    open_browser: OpenBrowser, address: str
) -> None:
    flags = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
    with open_browser(*flags, "--enable-features=Vulkan") as browser:
        browser.open(f"{address}?golden&provider=webgpu")
        browser.wait(READY)
        if not text(browser, "where").startswith("WebGPU, "):
            pytest.skip(f"needs a WebGPU adapter: {text(browser, 'where')}")
        assert text(browser, "golden") == "6 of 6 pass"


@pytest.mark.parametrize("variant", ["fp32", "uint8-io"])
def test_a_photo_gets_the_pixels_of_the_upscaler_beside_a_true_bicubic(
    browser: Any, address: str, bundle: Path, photograph: Path, variant: str
) -> None:
    browser.open(f"{address}?provider=wasm&variant={variant}")
    enlarge(browser, photograph)
    with Image.open(photograph) as image:
        small = np.asarray(image)
    expected = Upscaler(bundle, threads=1, tile=256)(small).astype(int)
    assert np.abs(canvas(browser, "result") - expected).max() <= 1
    bicubic = to_image(bicubic_up(to_tensor(small), 4)).astype(int)
    assert np.abs(canvas(browser, "bicubic") - bicubic).max() <= 1
    assert text(browser, "picture") == "170×150 → 680×600"
    assert ", 4 tiles, " in text(browser, "time")
    assert text(browser, "selftest") == "3 of 3 golden vectors hold here"
    assert browser.said == []


def test_files_of_one_size_hold_their_golden_vectors_and_give_the_pixels_of_the_upscaler(
    browser: Any,
    page: Path,
    windowed_bundle: Path,
    serve: Callable[[Path, Path], str],
    photograph: Path,
) -> None:
    address = serve(page, windowed_bundle)
    browser.open(f"{address}?golden&provider=wasm")
    browser.wait(READY)
    assert text(browser, "golden") == "12 of 12 pass"
    browser.open(f"{address}?provider=wasm&variant=uint8-io-20x14")
    enlarge(browser, photograph)
    with Image.open(photograph) as image:
        small = np.asarray(image)
    found = canvas(browser, "result")
    assert check_windowed_pixels(windowed_bundle, small, "uint8-io", found) <= 1
    assert browser.said == []


def test_a_network_that_takes_multiples_gets_them_as_from_the_upscaler(
    browser: Any,
    page: Path,
    gridded_bundle: Path,
    serve: Callable[[Path, Path], str],
    photograph: Path,
) -> None:
    browser.open(f"{serve(page, gridded_bundle)}?provider=wasm")
    enlarge(browser, photograph)
    with Image.open(photograph) as image:
        small = np.asarray(image)
    expected = Upscaler(gridded_bundle, threads=1, tile=256)(small).astype(int)
    assert np.abs(canvas(browser, "result") - expected).max() <= 1
    assert text(browser, "picture") == "170×150 → 340×300"
    assert browser.said == []


@pytest.fixture
def both(bundle: Path, tmp_path: Path) -> Path:
    """The bundle `tiny`, with `tiny-real` beside it, by which a served picture can be known."""
    for name in ("tiny", "tiny-real"):
        shutil.copytree(bundle, tmp_path / name)
        card = json.loads((tmp_path / name / "card.json").read_text())
        (tmp_path / name / "card.json").write_text(json.dumps(card | {"name": name}))
    return tmp_path / "tiny"


def press(browser: Any, script: str) -> None:
    """Run what begins an enlargement, and wait for its end."""
    browser.wait(READY)
    browser.evaluate(f"delete {STATE}; {script}; 0")
    browser.wait(READY)
    assert browser.evaluate(STATE) == "done", text(browser, "message")


def test_a_jpeg_gets_the_model_for_jpegs_and_another_file_that_for_clean_pictures(
    browser: Any, page: Path, both: Path, serve: Callable[[Path, Path], str], photograph: Path
) -> None:
    browser.open(f"{serve(page, both)}?provider=wasm")
    browser.wait(READY)
    assert text(browser, "model") == "tiny"
    press(browser, "jpeg.click()")
    assert text(browser, "model") == text(browser, "right") == "tiny-real"
    assert text(browser, "picture") == "256×256 → 1024×1024"
    press(browser, "bundle.value = 'model'; bundle.onchange()")
    assert text(browser, "model") == "tiny"
    press(browser, "bundle.value = 'file'; bundle.onchange()")
    assert text(browser, "model") == "tiny-real"
    enlarge(browser, photograph)
    assert text(browser, "model") == "tiny"
    names = "[...bundle.options].map((option) => option.textContent)"
    assert browser.evaluate(names) == [
        "by the file",
        "tiny, for clean pictures",
        "tiny-real, for JPEGs and noise",
    ]
    assert browser.said == []


def test_without_a_model_for_jpegs_the_page_says_so_and_enlarges_with_the_other(
    browser: Any, address: str
) -> None:
    browser.open(f"{address}?provider=wasm")
    press(browser, "jpeg.click()")
    assert text(browser, "model") == "tiny"
    assert "No model for JPEGs is served as real/" in text(browser, "suits")


def test_the_sample_is_a_small_jpeg_with_visible_blocks(page: Path) -> None:
    assert (page / "sample.jpg").stat().st_size < 60_000
    assert stated_quality(page / "sample.jpg") == 50


def test_a_large_picture_is_enlarged_whole_or_in_part_as_its_owner_says(
    browser: Any, address: str, tmp_path: Path
) -> None:
    Image.new("RGB", (1100, 1000)).save(tmp_path / "large.png")
    browser.open(f"{address}?provider=wasm")
    browser.wait(READY)
    for button, words in (
        ("middle", "1073×976 → 4292×3904"),
        ("whole", "1100×1000 → 4400×4000"),
    ):
        before = text(browser, "picture")
        browser.choose("#file", tmp_path / "large.png")
        browser.wait("!choice.hidden")
        assert "enlarged whole it becomes 4400 × 4000" in text(browser, "large")
        assert text(browser, "picture") == before
        browser.evaluate(f"{button}.click(); cancel.click()")
        assert text(browser, "picture") == words
        assert browser.evaluate("choice.hidden") is True


def test_a_picture_that_no_canvas_holds_is_told_of(browser: Any, address: str) -> None:
    browser.open(f"{address}?provider=wasm")
    browser.wait(READY)
    assert (
        browser.evaluate(
            "import('./compare.mjs').then(({ compare }) =>"
            " compare((id) => document.getElementById(id)).open(70000, 4000))"
        )
        is False
    )


def test_while_the_model_loads_the_picture_is_there_already(browser: Any, address: str) -> None:
    browser.open(f"{address}?provider=wasm")
    browser.evaluate("variant.dispatchEvent(new Event('change'))")
    assert browser.evaluate(STATE) == "loading"
    assert text(browser, "count") == "Loading the model"
    browser.wait(READY)
    assert canvas(browser, "bicubic").any()


def test_the_header_is_a_list_and_the_network_is_in_words(browser: Any, address: str) -> None:
    browser.open(f"{address}?provider=wasm")
    browser.wait(READY)
    items = browser.evaluate("[...document.querySelectorAll('header li')].map((i) => i.innerText)")
    assert items[0] == "tiny"
    assert len(items) == 3
    assert text(browser, "network") == "edge 4x1: 1 convolution of 4 channels"
    assert text(browser, "time").endswith("000 pixels/s")


def test_a_cancelled_picture_stops_at_the_next_tile_and_the_page_goes_on(
    browser: Any, address: str, photograph: Path
) -> None:
    browser.open(f"{address}?provider=wasm")
    browser.wait(READY)
    browser.evaluate(
        "new MutationObserver((_, watch) => { if (!count.textContent) return;"
        "watch.disconnect(); cancel.click(); }).observe(count, { childList: true })"
    )
    browser.choose("#file", photograph)
    browser.wait(f"{STATE} === 'cancelled'")
    assert browser.evaluate("count.textContent") == "1 of 4"
    assert browser.evaluate("download.hasAttribute('href')") is False
    enlarge(browser, photograph)
    assert browser.evaluate("download.download") == "photograph-x4.png"


def test_the_page_fits_a_phone_and_its_slider_moves_by_keys(browser: Any, address: str) -> None:
    browser.open(f"{address}?provider=wasm", width=375, height=812)
    browser.wait(READY)
    assert browser.evaluate("document.documentElement.scrollWidth") == 375
    browser.evaluate("split.focus()")
    before = browser.evaluate("stage.style.getPropertyValue('--cut')")
    key = {"key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **key)
    after = browser.evaluate("stage.style.getPropertyValue('--cut')")
    assert float(after.removesuffix("px")) > float(before.removesuffix("px"))


@contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split("(")[1].split(")")[0]
    finally:
        server.terminate()
        server.communicate()


THREADED = "ort-wasm-simd-threaded"
TO_COPY = (
    *("ort.wasm.min.mjs", f"{THREADED}.mjs", f"{THREADED}.wasm"),
    *("ort.webgpu.min.mjs", f"{THREADED}.asyncify.mjs", f"{THREADED}.asyncify.wasm"),
)


def test_any_static_server_does_with_the_files_that_the_readme_names_and_one_thread(
    browser: Any, page: Path, bundle: Path, tmp_path: Path
) -> None:
    site, dist = tmp_path / "site", "node_modules/onnxruntime-web/dist"
    (site / dist).mkdir(parents=True)
    for path in (*page.glob("*.*"), *(page / dist / name for name in TO_COPY)):
        (site / path.relative_to(page)).symlink_to(path)
    (site / "node_modules/edgesr").symlink_to(page / "node_modules/edgesr")
    (site / "model").symlink_to(bundle)
    with plain_server(site) as url:
        browser.open(f"{url}?golden&provider=wasm")
        browser.wait(READY)
        assert text(browser, "golden") == "6 of 6 pass"
        assert text(browser, "where").startswith("WebAssembly, 1 thread (more need the headers")


def test_a_missing_model_is_named(
    browser: Any, page: Path, serve: Callable[[Path, Path], str], tmp_path: Path
) -> None:
    (tmp_path / "card.json").touch()
    address = serve(page, tmp_path)
    (tmp_path / "card.json").unlink()
    browser.open(address)
    browser.wait(READY)
    assert browser.evaluate(STATE) == "failed"
    assert "model/card.json: 404" in text(browser, "message")


def test_a_file_that_is_no_picture_is_told_of(browser: Any, address: str, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    browser.open(f"{address}?provider=wasm")
    browser.wait(READY)
    browser.choose("#file", tmp_path / "no.png")
    browser.wait("!message.hidden")
    assert "no is not a picture that this browser opens" in text(browser, "message")


@pytest.mark.parametrize("words", [["exports/none"], ["exports/edge-s", "port"]], ids=" ".join)
def test_the_server_says_what_it_cannot_serve(words: list[str]) -> None:
    script = Path(__file__).resolve().parents[2] / "examples/web/serve.py"
    command = [sys.executable, str(script), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "exports/none is not a bundle" in done.stderr or "usage: " in done.stderr
    assert "Traceback" not in done.stderr


def test_white_on_transparent_black_is_white_on_white(
    browser: Any,
    page: Path,
    shipped: Path,
    serve: Callable[[Path, Path], str],
    disc: Path,
) -> None:
    """The page lays pictures on white before the model sees them."""
    browser.open(f"{serve(page, shipped)}?provider=wasm")
    enlarge(browser, disc)
    assert canvas(browser, "result").min() >= 250


def test_a_variant_that_is_not_there_is_told_of(browser: Any, address: str) -> None:
    browser.open(f"{address}?provider=wasm&variant=int4")
    browser.wait(READY)
    assert browser.evaluate(STATE) == "failed"
    assert "no variant int4" in text(browser, "message")
