"""LR pictures of one's own: found by name, looked at, and used wherever LR is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr.data import pairs, photos
from edgesr.data.degrade import reduce, to_tensor
from edgesr.data.named import parse
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.deploy import heldout
from edgesr.errors import DataError
from edgesr.recipe import Data
from edgesr.training.validation import Validation

NAMES = ("chelsea", "coffee", "rocket", "astronaut")
SPOILT = parse("noise5-jpeg50")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    """HR of 202 x 151 pixels and more, which 4 does not divide."""
    files = {path.stem: path for path in photos.embedded().train + photos.embedded().validation}
    return {name: photos.decode(files[name])[40:191, 100:302] for name in NAMES}


@pytest.fixture
def data(tmp_path: Path, pictures: dict[str, np.ndarray]) -> Data:
    """Three photographs that train and one that is held out, and their LR, as PNG and as JPEG."""
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
    for name, hr in pictures.items():
        Image.fromarray(hr).save(tmp_path / f"hr/{name}.png")
        Image.fromarray(small(hr)).save(tmp_path / f"lr/{name}x4.png")
    return own(tmp_path)


def own(folder: Path) -> Data:
    given = {"photos": str(folder / "hr"), "lr": str(folder / "lr")}
    return Data.model_validate(given | {"degradation": {"kind": "pairs"}, "validation": 1})


def small(hr: np.ndarray, seed: int = 0) -> np.ndarray:
    return SPOILT.lr(hr[:148, :200], 4, reduce, seed)


def found(data: Data) -> dict[Path, Path]:
    return pairs.find(data, 4, photos.split(data))


def opened(data: Data) -> PatchCache:
    return PatchCache.open(
        photos.split(data).train, patch=64, scale=4, degradation=data.degradation, lr=found(data)
    )


def test_a_photographs_own_lr_is_in_the_cache_at_its_place(
    data: Data, pictures: dict[str, np.ndarray]
) -> None:
    cache = opened(data)
    for path, (lr, hr) in zip(cache.files, cache.photographs(), strict=True):
        assert torch.equal(lr, to_tensor(small(pictures[path.stem])))
        assert torch.equal(hr, to_tensor(pictures[path.stem][:148, :200]))


def test_patches_are_cut_from_both_at_one_place(data: Data) -> None:
    sampler = PatchSampler(opened(data), patch=64, batch=8, seed=0)
    for lr, hr in zip(*sampler.next(), strict=True):
        reduced = torch.nn.functional.avg_pool2d(hr[None], 4)[0]
        assert torch.corrcoef(torch.stack([lr.ravel(), reduced.ravel()]))[0, 1] > 0.85


def test_the_cache_is_made_anew_for_another_lr(data: Data) -> None:
    before = opened(data)
    path = Path(data.lr) / "chelseax4.png"
    with Image.open(path) as image:
        Image.fromarray(np.asarray(image) // 2).save(path)
    after = opened(data)
    assert after.key != before.key
    assert not torch.equal(after.data, before.data)


def test_validation_measures_on_ones_own_lr(data: Data, pictures: dict[str, np.ndarray]) -> None:
    split = photos.split(data)
    cpu = torch.device("cpu")
    validation = Validation(split.validation, 4, cpu, data.degradation, lr=found(data))
    (example,) = validation.examples
    name = split.validation[0].stem
    assert torch.equal(example.lr, to_tensor(small(pictures[name])))


def test_what_judges_and_calibrates_is_cut_from_pairs_at_one_place(
    data: Data, pictures: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heldout, "JUDGED", 100)
    (judge,) = heldout.heldout(data, 4)
    assert judge.lr.shape == (1, 3, 25, 25)
    lr = small(pictures[judge.name])
    top, left = (37 - 25) // 2, (50 - 25) // 2
    expected = lr[top : top + 25, left : left + 25]
    assert np.array_equal(np.rint(judge.lr[0].transpose(1, 2, 0) * 255), expected)
    assert np.array_equal(judge.hr, pictures[judge.name][4 * top :, 4 * left :][:100, :100])
    calibrates = heldout.calibration(data, 2, 4)["photographs"]
    assert [each.shape for each in calibrates] == [(1, 3, 37, 50)] * 2


@pytest.mark.parametrize(
    ("aside", "said"),
    [
        ((3, 0), r"\+0\.[6-9] pixels down and [+-]0\.[0-2] right"),
        ((0, -3), r"[+-]0\.[0-2] pixels down and -0\.[6-9] right"),
        ((9, 6), r"\+2\.[1-4] pixels down and \+1\.[3-7] right"),
    ],
)
def test_a_pair_that_lies_aside_is_refused_by_name_with_its_shift(
    data: Data, pictures: dict[str, np.ndarray], aside: tuple[int, int], said: str
) -> None:
    moved(data, pictures, aside)
    with pytest.raises(DataError, match=rf"chelseax4\.png lies {said} of .*chelsea\.png"):
        opened(data)


@pytest.mark.parametrize("aside", [(1, 0), (0, -1), (1, 1)])
def test_a_quarter_of_an_lr_pixel_is_no_fault(
    data: Data, pictures: dict[str, np.ndarray], aside: tuple[int, int]
) -> None:
    moved(data, pictures, aside)
    assert len(opened(data).files) == 3


def moved(data: Data, pictures: dict[str, np.ndarray], aside: tuple[int, int]) -> None:
    """Make LR of one that trains from HR that lies `aside`, in HR pixels."""
    hr = np.roll(pictures["chelsea"], aside, (0, 1))
    Image.fromarray(small(hr)).save(Path(data.lr) / "chelseax4.png")


def test_a_pair_of_two_pictures_is_refused(data: Data, pictures: dict[str, np.ndarray]) -> None:
    Image.fromarray(small(pictures["rocket"])).save(Path(data.lr) / "chelseax4.png")
    with pytest.raises(DataError, match=r"chelseax4\.png (lies|does not show)"):
        opened(data)


def test_a_flat_pair_cannot_be_judged_and_is_taken(tmp_path: Path) -> None:
    flat = np.full((32, 40, 3), 90, np.uint8)
    Image.fromarray(flat[:8, :10]).save(tmp_path / "lr.png")
    lr = pairs.read(tmp_path / "lr.png", tmp_path / "hr.png", flat, 4)
    assert np.array_equal(lr, flat[:8, :10])


@pytest.mark.parametrize("size", [(50, 38), (51, 37), (200, 148)])
def test_a_pair_of_another_size_names_both_and_what_was_expected(
    data: Data, size: tuple[int, int]
) -> None:
    path = Path(data.lr) / "rocketx4.png"
    with Image.open(path) as image:
        image.resize(size).save(path)
    said = rf"rocketx4\.png has {size[0]} x {size[1]} pixels, .*202 x 151: expected 50 x 37"
    with pytest.raises(DataError, match=said):
        opened(data)


def test_a_photograph_without_lr_is_named(data: Data) -> None:
    (Path(data.lr) / "coffeex4.png").unlink()
    with pytest.raises(DataError, match=r"1 of 4 photographs have no LR picture in .*: coffee\."):
        found(data)


def test_lr_that_is_left_over_is_named(data: Data) -> None:
    Image.new("RGB", (50, 37)).save(Path(data.lr) / "other.png")
    with pytest.raises(DataError, match=r"5 LR pictures in .* for 4 photographs: .* other\.png"):
        found(data)


def test_a_damaged_lr_picture_leaves_its_photograph_out_and_says_why(
    data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(data.lr) / "chelseax4.png").write_bytes(b"no picture")
    assert [path.stem for path in opened(data).files] == ["astronaut", "rocket"]
    said = " ".join(capsys.readouterr().err.split())
    assert "chelsea.png: its LR picture" in said
    assert "chelseax4.png cannot be read" in said


def test_nothing_is_looked_for_where_lr_is_made() -> None:
    assert pairs.find(Data(), 4, photos.embedded()) == {}


@pytest.mark.parametrize(
    "given", [{"lr": "somewhere"}, {"degradation": {"kind": "pairs"}}], ids=["folder", "kind"]
)
def test_the_folder_and_the_kind_need_each_other(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"data\.lr and data\.degradation\.kind = \"pairs\" need"):
        Data.model_validate(given)
