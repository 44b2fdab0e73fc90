"""Folders of pictures: nothing is passed over in silence, nothing hidden is enlarged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgesr import Upscaler, cli
from edgesr.errors import DataError
from edgesr.inference import imagefile
from edgesr.inference.picture_folder import plan
from edgesr.inference.upscale_files import upscale_folder

EXPORTS = Path(__file__).parents[2] / "exports"


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EXPORTS / "edge-xs", threads=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in/a.png")
    return tmp_path / "in"


def picture(path: Path, kind: str | None = None) -> None:
    Image.fromarray(np.full((5, 6, 3), 90, np.uint8)).save(path, kind)


def test_what_systems_and_killed_programs_leave_is_not_enlarged(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("._a.png", ".x-ab12cd.png"):
        picture(source / name)
    (source / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (source / ".thumbnails").mkdir()
    picture(source / ".thumbnails/a.png")
    found = plan(source, tmp_path / "out")
    assert (list(found.jobs), found.failed) == ([source / "a.png"], {})
    assert "hidden pictures left out: 2" in capsys.readouterr().out


def test_a_linked_folder_is_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "loop").symlink_to(source)
    assert list(plan(source, tmp_path / "out").jobs) == [source / "a.png"]
    assert f"{source / 'loop'} is a linked folder and left out" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_and_a_dead_link_fail_by_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permission is taken away here, for a superuser has it whatever the mode says."""
    (source / "closed").mkdir()
    (source / "dead.png").symlink_to("nowhere.png")
    os.mkfifo(source / "pipe.png")
    scandir = os.scandir

    def closed(path: Any) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[return-value]

    monkeypatch.setattr(os, "scandir", closed)
    result = CliRunner().invoke(
        cli.app, ["upscale", str(EXPORTS / "edge-xs"), str(source), "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    assert (tmp_path / "out/a.png").is_file()
    for name, reason in (
        ("closed", "the folder cannot be read: Permission denied"),
        ("dead.png", "no regular file, or a link to nothing"),
        ("pipe.png", "no regular file, or a link to nothing"),
    ):
        assert f"warning: {source / name}: {reason}" in result.output


def test_avif_and_jfif_are_enlarged_and_heic_is_told_of(
    upscaler: Upscaler, source: Path, tmp_path: Path
) -> None:
    picture(source / "b.avif")
    picture(source / "c.jfif", "JPEG")
    (source / "d.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    summary = upscale_folder(upscaler, source, tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a.png", "b.png", "c.jfif"]
    assert summary.done == 3
    assert summary.failed.keys() == {source / "d.heic"}
    assert summary.failed[source / "d.heic"].startswith("cannot be read")


def test_a_folder_of_nothing_that_can_be_read_is_no_success(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/d.heic").write_bytes(b"no picture")
    assert upscale_folder(upscaler, tmp_path / "in", tmp_path / "out").done == 0
    picture(tmp_path / "in/.hidden.png")
    (tmp_path / "in/d.heic").unlink()
    with pytest.raises(DataError, match="no image in"):
        upscale_folder(upscaler, tmp_path / "in", tmp_path / "out")


def test_a_file_that_cannot_be_written_is_told_in_one_line_and_the_next_is_enlarged(
    upscaler: Upscaler, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(source / "b.png")
    write = imagefile.write_png

    def full(file: Any, *args: Any, **how: Any) -> None:
        if not list((tmp_path / "out").glob("a.png")) and not full_once:
            full_once.append(file.name)
            raise OSError(28, "No space left on device")
        write(file, *args, **how)

    full_once: list[str] = []
    monkeypatch.setattr(imagefile, "write_png", full)
    summary = upscale_folder(upscaler, source, tmp_path / "out")
    assert summary.done == 1
    reason = summary.failed[source / "a.png"]
    assert "No space left on device" in reason
    assert str(tmp_path / "out/a.png") in reason
    assert "Free some space" in reason
    assert "\n" not in reason
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


def test_a_file_in_the_place_of_the_folder_is_refused(
    upscaler: Upscaler, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="is a file, expected a folder"):
        upscale_folder(upscaler, source, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
