"""Benchmark sets in the layouts that they are passed around in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pooch
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgesr import cli
from edgesr.data import benchmarks
from edgesr.errors import DataError
from edgesr.quality.evaluate import load_images


def fill(folder: Path, count: int, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"img_{n:03}{suffix}").touch()


@pytest.mark.parametrize(
    ("layout", "suffix"),
    [
        ("Set5", ".png"),
        ("set5", ".bmp"),
        ("Set5/HR", ".png"),
        ("Set5/GTmod12", ".png"),
        ("Set5/original", ".bmp"),
        ("Set5/image_SRF_4", "_SRF_4_HR.png"),
    ],
)
def test_layouts_are_recognised_from_the_set_or_its_parent(
    tmp_path: Path, layout: str, suffix: str
) -> None:
    fill(tmp_path / layout, 5, suffix)
    root = tmp_path / layout.split("/")[0]
    assert len(benchmarks.find("Set5", root)) == 5
    assert benchmarks.find("Set5", tmp_path) == benchmarks.find("Set5", root)


def test_low_resolution_images_beside_the_hr_ones_are_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / "Set5/image_SRF_4"
    fill(folder, 5, "_SRF_4_HR.png")
    fill(folder, 5, "_SRF_4_LR.png")
    fill(tmp_path / "Set5/LR_bicubic/X4", 5)
    assert {path.stem[-2:] for path in benchmarks.find("Set5", tmp_path)} == {"HR"}


def test_uncropped_images_are_preferred_to_cropped_ones(tmp_path: Path) -> None:
    fill(tmp_path / "Set5/GTmod12", 5)
    fill(tmp_path / "Set5/original", 5)
    assert benchmarks.find("Set5", tmp_path)[0].parent.name == "original"


def test_another_number_of_images_is_refused_and_says_where_to_get_the_set(tmp_path: Path) -> None:
    fill(tmp_path / "Urban100", 97)
    with pytest.raises(DataError, match=r"has 97 images, expected 100(.|\n)*SelfExSR"):
        benchmarks.find("Urban100", tmp_path)


def test_a_missing_set_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder BSD100 or BSDS100 or B100 in"):
        benchmarks.find("BSD100", tmp_path)
    with pytest.raises(DataError, match="no folder Set5"):
        benchmarks.find("Set5", tmp_path / "nowhere")
    with pytest.raises(DataError, match="unknown benchmark set 'Set6', expected Set5, Set14"):
        benchmarks.find("Set6", tmp_path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/Set5/baby.png", "Set5"),
        ("data/set14/HR/zebra.png", "Set14"),
        ("Set5/image_SRF_4/img_001_SRF_4_HR.png", "Set5"),
        ("B100/101085.png", "BSD100"),
        ("DIV2K/DIV2K_valid_HR/0801.png", "DIV2K"),
        ("DIV2K/DIV2K_valid_LR_bicubic/X4/0801x4.png", "DIV2K"),
        ("DIV2K/DIV2K_train_HR/0001.png", None),
        ("Set5-like/baby.png", None),
        ("home/b100/me/101085.png", None),
        ("b100/P1040.png", None),
        ("Set5/holiday.png", None),
    ],
)
def test_sets_are_known_by_the_names_of_their_folders_and_of_their_files(
    tmp_path: Path, path: str, name: str | None
) -> None:
    """Whoever is called b100 may train on photographs at home."""
    folder = (tmp_path / path).parent
    folder.mkdir(parents=True)
    (tmp_path / path).touch()
    assert benchmarks.is_benchmark(folder) == name


def test_as_many_files_as_a_set_has_in_a_folder_of_its_name_are_the_set(tmp_path: Path) -> None:
    fill(tmp_path / "Manga109", 109)
    assert benchmarks.is_benchmark(tmp_path / "Manga109") == "Manga109"


def test_a_link_to_a_set_is_still_the_set(tmp_path: Path) -> None:
    fill(tmp_path / "Set5", 5)
    try:
        (tmp_path / "photos").symlink_to(tmp_path / "Set5")
    except OSError:
        pytest.skip("this system makes no symbolic links")
    assert benchmarks.is_benchmark(tmp_path / "photos") == "Set5"


def test_every_set_says_where_it_is_from_and_on_what_terms() -> None:
    assert list(benchmarks.BENCHMARKS) == [
        "Set5",
        "Set14",
        "BSD100",
        "Urban100",
        "Manga109",
        "DIV2K",
    ]
    for benchmark in benchmarks.BENCHMARKS.values():
        assert "http" in benchmark.source
        assert benchmark.terms
        assert bool(benchmark.archive) == bool(benchmark.known_hash) == bool(benchmark.mib)


@pytest.mark.parametrize("name", ["Set5", "Set14", "BSD100", "Urban100", "Manga109"])
def test_sets_without_a_published_checksum_are_not_downloaded(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be downloaded by edgesr\nGet it from http"):
        benchmarks.fetch(name, tmp_path)


def test_div2k_is_fetched_from_its_authors_by_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retrieve(url: str, known_hash: str, *, processor: Any, **_: Any) -> None:
        assert url.startswith("https://data.vision.ee.ethz.ch/")
        assert known_hash.startswith("md5:")
        fill(Path(processor.extract_dir) / "DIV2K_valid_HR", 100)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(benchmarks.fetch("DIV2K", tmp_path)) == 100


def test_a_failed_download_says_where_to_get_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retrieve(*_: Any, **__: Any) -> None:
        raise ValueError("the hash does not match")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=r"the hash does not match(.|\n)*Get it from"):
        benchmarks.fetch("DIV2K", tmp_path)


@pytest.mark.parametrize(("name", "count"), [("Set5", 5), ("Set14", 14), ("BSD100", 100)])
def test_the_sets_at_hand_are_whole(shared: Path, name: str, count: int) -> None:
    images = benchmarks.find(name, shared / "data/benchmarks")
    assert len(images) == count
    assert benchmarks.is_benchmark(images[0].parent) == name


def test_a_missing_set_is_answered_with_where_it_is_from(tmp_path: Path) -> None:
    assert "Zeyde" in benchmarks.where_to_get(tmp_path / "Set14")
    assert "Martin" in benchmarks.where_to_get(tmp_path / "b100")
    assert benchmarks.where_to_get(tmp_path / "holiday") == ""


def test_a_set_is_found_by_its_name_under_data_and_data_benchmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert benchmarks.located("Set5") is None
    fill(tmp_path / "data/benchmarks/B100/HR", 100)
    assert benchmarks.located("bsd100") == Path("data/benchmarks/B100/HR")
    assert benchmarks.located("holiday") is None


def test_evaluate_takes_a_set_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "data/Set5", 5)
    for path in (tmp_path / "data/Set5").iterdir():
        Image.new("RGB", (48, 48)).save(path)
    assert len(list(load_images(Path("Set5")))) == 5


def test_fetching_says_where_the_rest_is_had_and_ends_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def retrieve(*_: Any, processor: Any, **__: Any) -> None:
        fill(Path(processor.extract_dir) / "DIV2K_valid_HR", 100)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match="not there: Set5"):
        benchmarks.fetch_all(["Set5", "DIV2K"], tmp_path)
    out, err = capsys.readouterr()
    assert "Set5 cannot be downloaded by edgesr. Get it from http" in err
    assert f"DIV2K: {tmp_path / 'DIV2K_valid_HR'}" in out.replace("\n", "")
    benchmarks.fetch_all(["DIV2K"], tmp_path)


def test_data_lists_the_sets_with_terms_and_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "sets/Set5", 5)
    shown = CliRunner().invoke(cli.app, ["data", "--folder", "sets"]).stdout
    assert all(name in shown for name in benchmarks.BENCHMARKS)
    assert "non-commercial" in shown
    assert "Set5: http://people.rennes.inria.fr/Aline.Roumy/results/SR_BMVC12.html" in shown
    refused = CliRunner().invoke(cli.app, ["data", "--fetch"])
    assert isinstance(refused.exception, DataError)
