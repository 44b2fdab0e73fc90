"""Which model enlarges a picture where nobody names one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from edgesr.cli import app
from edgesr.data import pages
from edgesr.errors import DataError
from edgesr.inference.suited import Suited, fault, is_lossy_webp, stated_quality

EXPORTS = Path(__file__).parents[2] / "exports"
BOTH = {"edge-s": Path("clean"), "edge-s-real": Path("real")}


@pytest.fixture
def photo() -> Image.Image:
    """A clean picture of 64 x 48 pixels, text and drawing."""
    return Image.fromarray(pages.page(3)[:48, :64])


def saved(photo: Image.Image, path: Path, **options: int | bool) -> Path:
    photo.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("quality", [30, 49, 50, 75, 95, 98])
def test_a_jpegs_own_tables_state_its_quality(
    photo: Image.Image, tmp_path: Path, quality: int
) -> None:
    assert stated_quality(saved(photo, tmp_path / "a.jpg", quality=quality)) == quality


def test_a_jpeg_is_faulty_below_95_whatever_its_name(photo: Image.Image, tmp_path: Path) -> None:
    for quality, said in ((94, "a JPEG of quality 94"), (95, None)):
        path = saved(photo, tmp_path / "a.jpg", quality=quality).rename(tmp_path / "a.png")
        assert fault(path, np.asarray(photo)) == said


def test_a_png_of_a_decoded_jpeg_is_found_and_a_clean_png_is_not(tmp_path: Path) -> None:
    photo = Image.fromarray(pages.page(5)[:192, :192])
    clean = saved(photo, tmp_path / "clean.png")
    assert fault(clean, pixels(clean)) is None
    with Image.open(saved(photo, tmp_path / "bad.jpg", quality=60)) as bad:
        png = saved(bad.convert("RGB"), tmp_path / "bad.png")
    assert (fault(png, pixels(png)) or "").startswith("once a JPEG of quality ")


def test_noise_is_a_fault(photo: Image.Image, tmp_path: Path) -> None:
    grain = np.random.default_rng(0).normal(0, 10, (48, 64, 3))
    noisy = np.clip(np.asarray(photo) * 0.8 + 20 + grain, 0, 255).astype(np.uint8)
    path = saved(Image.fromarray(noisy), tmp_path / "noisy.png")
    assert (fault(path, noisy) or "").startswith("noise of ")


@pytest.mark.parametrize(("lossless", "said"), [(False, "a lossy WebP"), (True, None)])
@pytest.mark.parametrize("profile", [b"", b"any profile"])
def test_a_webp_is_faulty_where_it_is_lossy(
    photo: Image.Image, tmp_path: Path, lossless: bool, said: str | None, profile: bytes
) -> None:
    path = tmp_path / "a.webp"
    photo.save(path, lossless=lossless, icc_profile=profile)
    assert is_lossy_webp(path) is bool(said)
    assert fault(path, np.asarray(photo)) == said


def test_each_picture_has_its_own_model_opened_once_and_said(
    photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[Path] = []
    suited = Suited(BOTH, lambda path: opened.append(path) or path)  # type: ignore[func-returns-value]
    good, bad = saved(photo, tmp_path / "good.png"), saved(photo, tmp_path / "bad.jpg", quality=40)
    taken = [suited.model(path, np.asarray(photo)) for path in (good, bad, good, bad)]
    assert taken == [Path("clean"), Path("real")] * 2
    assert opened == [Path("clean"), Path("real")]
    said = " ".join(capsys.readouterr().out.split())
    assert "bad.jpg: a JPEG of quality 40: enlarged by edge-s-real (--model" in said
    assert "good.png: a clean picture: enlarged by edge-s (--model" in said


def test_where_the_suited_one_is_missing_the_other_is_taken_and_both_are_named(
    photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suited = Suited({"edge-s": Path("clean")}, lambda path: path)
    bad = saved(photo, tmp_path / "bad.jpg", quality=40)
    assert suited.model(bad, np.asarray(photo)) == Path("clean")
    said = " ".join(capsys.readouterr().out.split())
    assert "edge-s-real is not in exports/: enlarged by edge-s (" in said


def test_without_any_of_them_a_model_has_to_be_named() -> None:
    with pytest.raises(DataError, match="neither edge-s nor edge-s-real is in exports/"):
        Suited({}, lambda path: path)


@pytest.fixture
def folder(photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean PNG and a JPEG beside exports/, whose edge-s-real is edge-s under another name."""
    for name in ("edge-s", "edge-s-real"):
        shutil.copytree(EXPORTS / "edge-s", tmp_path / "exports" / name)
    saved(photo, tmp_path / "clean.png")
    saved(photo, tmp_path / "photo.jpg", quality=50)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["upscale", *arguments])


def test_upscale_needs_no_model_and_no_name_for_the_result(folder: Path) -> None:
    result = typed("photo.jpg")
    assert result.exit_code == 0, result.output
    assert "edge-s-real" in result.output
    with Image.open(folder / "photo-large.png") as large:
        assert large.size == (256, 192)


def test_of_a_folder_each_picture_is_judged_by_itself(folder: Path) -> None:
    (folder / "photos").mkdir()
    for name in ("clean.png", "photo.jpg"):
        shutil.copy(folder / name, folder / "photos")
    said = " ".join(typed("photos", "--scale", "1.5", "-q").output.split())
    assert "clean.png: a clean picture: enlarged by edge-s (" in said
    assert "photo.jpg: a JPEG of quality 50: enlarged by edge-s-real (" in said
    with Image.open(folder / "photos-large/photo.jpg") as large:
        assert large.size == (96, 72)


@pytest.mark.parametrize("named", [("edge-s", "photo.jpg"), ("photo.jpg", "--model", "edge-s")])
def test_a_model_that_is_named_is_taken(folder: Path, named: tuple[str, ...]) -> None:
    result = typed(*named, "-o", "big.png")
    assert result.exit_code == 0, result.output
    assert "enlarged by" not in result.output
    assert (folder / "big.png").is_file()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments", [("edge-s", "photo.jpg", "--model", "edge-s"), ("edge-s", "edge-s", "photo.jpg")]
)
def test_two_models_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="2 models are named, edge-s first"):
        CliRunner().invoke(app, ["upscale", *arguments], catch_exceptions=False)


def test_what_is_there_already_is_not_replaced_unasked(folder: Path) -> None:
    (folder / "photo-large.png").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"photo-large\.png is there already"):
        CliRunner().invoke(app, ["upscale", "photo.jpg"], catch_exceptions=False)
    assert (folder / "photo-large.png").read_bytes() == b"mine"
