"""Folders of pictures: nothing is passed over in silence, nothing hidden is enlarged."""

from __future__ import annotations

import json
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
from edgesr.inference.upscale_folder import upscale_folder
from tests import commands

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

    words = ["upscale", str(EXPORTS / "edge-xs"), str(source), "-o", str(tmp_path / "out")]
    with monkeypatch.context() as patched:  # what deletes the folder reads it too
        patched.setattr(os, "scandir", closed)
        result = CliRunner().invoke(cli.app, words)
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


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_there_in_its_size_is_skipped_and_the_rest_is_done(
    upscaler: Upscaler, source: Path, tmp_path: Path
) -> None:
    for name in ("b.png", "c.png", "d.png"):
        picture(source / name)
    out = tmp_path / "out"
    upscale_folder(upscaler, source, out)
    (out / "b.png").unlink()
    picture(out / "c.png")  # of another size
    (out / "d.png").write_bytes(b"cut")
    before = (out / "a.png").stat().st_mtime_ns
    summary = upscale_folder(upscaler, source, out, skip_existing=True)
    assert (summary.done, summary.skipped, summary.failed) == (3, 1, {})
    assert (out / "a.png").stat().st_mtime_ns == before


def test_the_size_of_a_turned_photograph_is_that_at_which_it_is_shown(
    upscaler: Upscaler, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (6, 5)).save(tmp_path / "in/a.jpg", exif=exif)
    upscale_folder(upscaler, tmp_path / "in", tmp_path / "out")
    assert upscale_folder(upscaler, tmp_path / "in", tmp_path / "out", skip_existing=True).skipped


def test_the_manifest_says_of_every_picture_what_became_of_it(
    upscaler: Upscaler, source: Path, tmp_path: Path
) -> None:
    (source / "b.png").write_bytes(b"no picture")
    manifest = tmp_path / "log/manifest.jsonl"
    upscale_folder(upscaler, source, tmp_path / "out", manifest=manifest)
    upscale_folder(upscaler, source, tmp_path / "out", manifest=manifest, skip_existing=True)
    done, failed, skipped, again = lines(manifest)
    assert done == {
        "source": str(source / "a.png"),
        "target": str(tmp_path / "out/a.png"),
        "state": "done",
        "size": [24, 20],
    }
    assert failed["state"] == "failed"
    assert failed["reason"].startswith("cannot be read")
    assert (skipped["state"], skipped["size"]) == ("skipped", [24, 20])
    assert again == failed


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("{stem}-large{suffix}", "a-large.png"), ("x4_{stem}.webp", "x4_a.webp")],
)
def test_a_pattern_names_the_results(
    upscaler: Upscaler, source: Path, tmp_path: Path, pattern: str, name: str
) -> None:
    upscale_folder(upscaler, source, tmp_path / "out", pattern=pattern)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


@pytest.mark.parametrize("pattern", ["", "all.png", "{stem}", "{stem}.gif", "../{stem}.png", "{x}"])
def test_a_pattern_that_names_no_file_is_refused(
    upscaler: Upscaler, source: Path, tmp_path: Path, pattern: str
) -> None:
    with pytest.raises(DataError, match="--name"):
        upscale_folder(upscaler, source, tmp_path / "out", pattern=pattern)


def test_jobs_share_the_pictures_and_what_failed_is_told_as_by_one(
    source: Path, tmp_path: Path
) -> None:
    for number in range(5):
        picture(source / f"{number}.png")
    (source / "bad.png").write_bytes(b"no picture")
    words = ["upscale", str(EXPORTS / "edge-xs"), str(source), "--threads", "1", "--quiet"]
    said = [
        commands.run(tmp_path, *words, "-o", f"out{jobs}", "--jobs", jobs) for jobs in ("1", "2")
    ]
    assert [ended.code for ended in said] == [1, 1]
    for jobs, ended in zip("12", said, strict=True):
        assert f"out{jobs}: 6 images" in ended.said
        assert "bad.png: cannot be read" in ended.said
    for name in sorted(path.name for path in (tmp_path / "out1").iterdir()):
        assert (tmp_path / "out2" / name).read_bytes() == (tmp_path / "out1" / name).read_bytes()
    assert len(list((tmp_path / "out2").iterdir())) == 6
