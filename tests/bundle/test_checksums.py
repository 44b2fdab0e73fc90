"""SHA256SUMS: every tampering is named, all of them at once; sha256sum reads it, too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgesr.bundle.checksums import check_checksums, digest, write_checksums
from edgesr.errors import BundleError
from edgesr.workspace import sha256


@pytest.fixture
def summed(tmp_path: Path) -> Path:
    """A folder of three files, one of them deeper, with its sums."""
    (tmp_path / "golden").mkdir()
    for name in ("model.onnx", "card.json", "golden/noise.rgb"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    return tmp_path


def test_every_file_is_listed_sorted_by_its_path_in_the_bundle(summed: Path) -> None:
    names = ["card.json", "golden/noise.rgb", "model.onnx"]
    lines = (summed / "SHA256SUMS").read_text().splitlines()
    assert lines == [f"{sha256(summed / name)}  {name}" for name in names]
    assert list(check_checksums(summed)) == names


@pytest.mark.parametrize("name", ["verify.json", "junit.xml", "report.html"])
def test_what_verify_and_report_write_later_needs_no_sum(summed: Path, name: str) -> None:
    (summed / name).write_text("later")
    assert name not in check_checksums(summed)
    write_checksums(summed)
    assert name not in check_checksums(summed)


def test_all_that_does_not_match_is_named_at_once(summed: Path) -> None:
    (summed / "model.onnx").write_text("tampered")
    (summed / "golden/noise.rgb").unlink()
    (summed / "golden/extra").touch()
    with pytest.raises(BundleError) as raised:
        check_checksums(summed)
    assert raised.value.message.endswith(
        "model.onnx was changed, golden/noise.rgb is missing, golden/extra is not listed"
    )
    assert "edgesr export" in raised.value.remedy


def test_a_sum_of_a_file_outside_the_bundle_is_not_looked_at(summed: Path) -> None:
    sums = summed / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{64 * '0'}  ../secret\n")
    with pytest.raises(BundleError, match=r"secret' is not a sum and file"):
        check_checksums(summed)


@pytest.mark.parametrize("text", [None, "no sums\n", "\n"])
def test_sums_that_cannot_be_read_are_refused(summed: Path, text: str | None) -> None:
    (summed / "SHA256SUMS").unlink()
    if text is not None:
        (summed / "SHA256SUMS").write_text(text)
    with pytest.raises(BundleError, match="SHA256SUMS cannot be read"):
        check_checksums(summed)


@pytest.mark.parametrize(
    "name", [".DS_Store", "golden/Thumbs.db", "desktop.ini", "._card.json", ".edgesr-abc.onnx"]
)
def test_what_a_file_manager_leaves_is_no_tampering(summed: Path, name: str) -> None:
    (summed / name).write_text("litter")
    assert name not in check_checksums(summed)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder's link"])
def test_only_regular_files_stand_for_a_bundles_files(
    summed: Path, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A link could show another file tomorrow; a pipe would be waited for, for ever."""
    path = summed / "model.onnx"
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "model.onnx"
    path.replace(elsewhere)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(elsewhere if kind == "link" else elsewhere.parent)
    with pytest.raises(BundleError, match=r"model\.onnx is not a regular file"):
        check_checksums(summed)


def test_the_digest_names_the_content_of_every_file(summed: Path) -> None:
    before = digest(summed)
    (summed / "verify.json").write_text("evidence")
    write_checksums(summed)
    assert digest(summed) == before
    (summed / "golden/noise.rgb").write_text("another")
    write_checksums(summed)
    assert digest(summed) != before


def test_sha256sum_accepts_a_real_bundle(made: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("needs the program sha256sum")
    command = [program, "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=made, capture_output=True, check=False).returncode == 0
