"""Hugging Face datasets in a folder, made by their own library; nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgesr.data import photos, shards
from edgesr.data.draws import Draws
from edgesr.errors import DataError, MissingPackage
from edgesr.recipe import Data
from tests.streams import picture

datasets = pytest.importorskip("datasets", reason="needs Hugging Face's datasets (edgesr[stream])")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.disable_progress_bars()
    monkeypatch.setattr("socket.socket.connect", None)  # whatever looks for a network would fail


def dataset(count: int, *, first: int = 0) -> Any:
    numbers = range(first, first + count)
    rows = [{"image": {"bytes": picture(n), "path": f"{n}.png"}, "text": "a cat"} for n in numbers]
    return datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())


def read(folder: Path) -> list[bytes]:
    (source,) = shards.find(Data(photos=str(folder)))
    return [found.data for shard in source.shards for found in source.read(shard)]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    dataset(7).save_to_disk(str(tmp_path / "saved"), num_shards=3)
    return tmp_path / "saved"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    folder = tmp_path / "parquet" / "data"
    folder.mkdir(parents=True)
    for name, count, first in (("train-0", 3, 0), ("train-1", 2, 3), ("test-0", 2, 90)):
        dataset(count, first=first).to_parquet(str(folder / f"{name}.parquet"))
    return folder.parent


def test_a_saved_dataset_is_read_as_it_was_encoded(saved: Path) -> None:
    assert read(saved) == [picture(n) for n in range(7)]


def test_of_parquet_files_those_of_the_training_split_are_read(parquet: Path) -> None:
    assert read(parquet) == [picture(n) for n in range(5)]


def test_a_column_of_bytes_will_do(tmp_path: Path) -> None:
    rows = [{"jpg": picture(n), "id": n} for n in range(2)]
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    assert read(tmp_path) == [picture(0), picture(1)]


def test_its_first_photographs_are_held_out_and_draws_go_on_where_they_stood(saved: Path) -> None:
    data = Data(photos=str(saved), validation=1)
    split = photos.split(data)
    assert [path.read_bytes() for path in split.validation] == [picture(0)]
    assert [path.read_bytes() for path in split.train] == [picture(1), picture(2)]
    sources = shards.find(data)
    whole = Draws(sources, seed=0, held_out=1)
    drawn = [whole.next() for _ in range(18)]
    assert picture(0) not in [draw.photograph for draw in drawn]
    assert {draw.photograph for draw in drawn[:6]} == {picture(n) for n in range(1, 7)}
    first, second = (Draws(sources, seed=0, held_out=1) for _ in range(2))
    for _ in range(8):
        first.next()
    second.restore(first.state())
    assert [second.next() for _ in range(10)] == drawn[8:]


def test_a_dataset_and_shards_are_sources_beside_each_other(saved: Path, parquet: Path) -> None:
    named = [{"photos": str(saved)}, {"photos": str(parquet), "weight": 2.0}]
    found = shards.find(Data.model_validate({"sources": named}))
    assert [len(source.shards) for source in found] == [3, 2]


def test_several_datasets_in_a_folder_are_named(tmp_path: Path) -> None:
    both = datasets.DatasetDict({"train": dataset(1), "test": dataset(1)})
    both.save_to_disk(str(tmp_path / "both"))
    with pytest.raises(DataError, match="both holds several datasets"):
        shards.find(Data(photos=str(tmp_path / "both")))
    assert read(tmp_path / "both/train") == [picture(0)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "a cat"}, r"0 columns of pictures \(none\) among text: expected one"),
        ({"hr": b"1", "lr": b"2"}, r"2 columns of pictures \(hr, lr\)"),
    ],
)
def test_a_dataset_without_a_column_of_pictures_or_with_two_is_refused(
    tmp_path: Path, row: dict[str, Any], said: str
) -> None:
    datasets.Dataset.from_list([row]).to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(DataError, match=said):
        read(tmp_path)


def test_places_of_pictures_are_not_pictures(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": None, "path": "/etc/hostname"}}]
    places = datasets.Dataset.from_list(rows, features=datasets.Features(image=datasets.Image()))
    places.to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(DataError, match="row 0 holds no picture in its column image"):
        read(tmp_path)


def test_a_damaged_file_is_named(parquet: Path) -> None:
    (parquet / "data/train-0.parquet").write_bytes(b"damaged" * 100)
    with pytest.raises(DataError, match=r"the shard .*train-0\.parquet cannot be read: "):
        photos.split(Data(photos=str(parquet)))


def test_a_missing_package_is_one_line_that_names_the_command(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackage, match=r'datasets is not .*: pip install "edgesr\[stream\]"'):
        shards.find(Data(photos=str(saved)))
