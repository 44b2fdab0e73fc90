"""The web example's page for videos: frames of a file and of a camera, enlarged as they play."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("av", reason="needs PyAV (edgesr[video])")

from tests.video.clips import make

PLAYS = "document.getElementById('frames').textContent.match(/^[3-9]|^[1-9][0-9]/)"


@pytest.fixture
def address(
    installed: Callable[[str], Path], bundle: Path, serve: Callable[[Path, Path], str]
) -> str:
    return f"{serve(installed('web'), bundle)}video.html?provider=wasm"


def text(browser: Any, name: str) -> str:
    words: str = browser.evaluate(f"document.getElementById('{name}').textContent")
    return words


def ready(browser: Any, address: str) -> None:
    browser.open(address)
    browser.wait("document.getElementById('app').dataset.state === 'ready'")
    assert text(browser, "selftest") == "3 of 3 golden vectors hold here"


def test_a_video_file_plays_enlarged_and_frames_are_counted(
    browser: Any, address: str, tmp_path: Path
) -> None:
    clip = make(tmp_path / "clip.webm", size=(96, 54), codec="libvpx-vp9", sound=False)
    ready(browser, address)
    browser.choose("#file", clip)
    browser.wait(PLAYS)
    assert text(browser, "pixels") == "96×54 → 384×216"
    assert re.fullmatch(r"\d+ enlarged, \d+ left out", text(browser, "frames"))
    browser.wait("document.getElementById('rate').textContent.endsWith('frames/s')")
    # The frame is the video's, four times larger: their means agree.
    means = browser.evaluate(
        "[document.getElementById('video'), document.getElementById('enlarged')].map((from) => {"
        "  const pen = new OffscreenCanvas(8, 8).getContext('2d');"
        "  pen.imageSmoothingQuality = 'high'; pen.drawImage(from, 0, 0, 8, 8);"
        "  return Array.from(pen.getImageData(0, 0, 8, 8).data).reduce((a, b) => a + b) / 256 })"
    )
    assert means[0] == pytest.approx(means[1], abs=12)
    assert browser.said == []


def test_what_is_no_video_is_said(browser: Any, address: str, tmp_path: Path) -> None:
    other = tmp_path / "notes.mp4"
    other.write_bytes(b"no video")
    ready(browser, address)
    browser.choose("#file", other)
    browser.wait("!document.getElementById('message').hidden")
    assert "does not play it" in text(browser, "message")


def test_a_camera_plays_enlarged(open_browser: Callable[..., Any], address: str) -> None:
    with open_browser("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream") as b:
        ready(b, address)
        b.evaluate("document.getElementById('camera').click()")
        b.wait(PLAYS)
        assert text(b, "pixels").startswith("320×240 → ")
        b.evaluate("document.getElementById('stop').click()")
        assert b.evaluate("document.getElementById('video').srcObject") is None
