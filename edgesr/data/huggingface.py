"""Datasets of Hugging Face in a folder: saved to disk, or as Parquet files. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesr import extras
from edgesr.data.photos import Encoded
from edgesr.errors import DataError

SAVED, SPLITS = "state.json", "dataset_dict.json"
"""What `save_to_disk` writes beside a dataset's files, and beside several datasets' folders."""


def files(folder: Path) -> list[Path]:
    """The files of the dataset in `folder` that are trained on, sorted; none where there is no
    dataset. Of Parquet files those of the split `train`, by the library's own rules.

    Raises:
        DataError: it holds several datasets, or has no split to train on.
        MissingPackage: the library is not installed.
    """
    if not folder.is_dir():
        return []
    if (folder / SPLITS).is_file():
        raise DataError(
            f"{folder} holds several datasets",
            f"Name one of them: --set data.photos={folder}/train",
        )
    if (folder / SAVED).is_file():
        extras.datasets()
        return sorted(folder.glob("*.arrow"))
    if not any(path.name != "metadata.parquet" for path in folder.rglob("*.parquet")):
        return []
    splits = extras.datasets().load_dataset_builder(str(folder)).config.data_files
    if "train" not in splits:
        raise DataError(
            f"{folder} has no split to train on, but {', '.join(map(str, splits))}",
            "Name its files train-00000.parquet and so on, or put them into a folder of their own.",
        )
    return sorted(map(Path, splits["train"]))


def photographs(file: Path) -> Iterator[Encoded]:
    """The pictures of a dataset's file in their order, as they were encoded.

    Raises:
        DataError: there is no column of pictures, more than one, or one of places elsewhere.
        Exception: whatever a damaged file makes the library raise.
    """
    datasets = extras.datasets()
    if file.suffix == ".arrow":
        rows = datasets.Dataset.from_file(str(file))
    else:
        rows = datasets.load_dataset("parquet", data_files=str(file), split="train", streaming=True)
    column = _column(file, rows.features)
    rows = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    for number, row in enumerate(rows):
        picture = row[column]
        if picture is None or picture["bytes"] is None:
            raise DataError(
                f"{file}: row {number} holds no picture in its column {column}",
                "Save the dataset with its pictures, not with their places.",
            )
        name = Path(picture["path"] or "").name
        yield Encoded(file / f"{number:06d}{'-' if name else ''}{name}", picture["bytes"])


def _column(file: Path, features: Any) -> str:
    """The column that holds pictures: of that type; else of bytes."""
    images: list[str] = [name for name, each in features.items() if type(each).__name__ == "Image"]
    plain: list[str] = [name for name, each in features.items() if _is_bytes(each)]
    found = images or plain
    if len(found) != 1:
        raise DataError(
            f"{file} has {len(found)} columns of pictures ({', '.join(found) or 'none'}) among "
            f"{', '.join(features)}: expected one",
            "Drop the others: dataset.select_columns.",
        )
    return found[0]


def _is_bytes(feature: Any) -> bool:
    inner = feature.get("bytes") if isinstance(feature, dict) else feature
    return getattr(inner, "dtype", None) in ("binary", "large_binary")
