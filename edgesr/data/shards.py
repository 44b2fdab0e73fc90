"""Photographs that are streamed: where their shards lie, read by WebDataset, or by Hugging Face's
datasets, see `huggingface`.

A shard is read from its beginning to its end and never held whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from edgesr import extras, recipe
from edgesr.data import benchmarks, huggingface, photos
from edgesr.data.photos import Encoded
from edgesr.errors import DataError
from edgesr.inference.decode import EXTENSIONS
from edgesr.workspace import cache_dir, write_bytes

TAR = ".tar"
MOST = 10**6
"""Shards of a source."""
EXCERPT = 30
"""Photographs of a stream that stand for all where a few are enough: to set ranges of eight bits,
and to change the depth of a student."""


@dataclass(frozen=True)
class Source:
    """Shards, in the order of their names: tar files, or the files of a dataset.

    Attributes:
        name: as the recipe has it.
        read: the photographs of a shard, in their order.
    """

    name: str
    shards: list[Path]
    weight: float
    read: Callable[[Path], Iterator[Encoded]]


def find(data: recipe.Data) -> list[Source]:
    """The sources that `data` names; none where its photographs lie in a folder.

    Raises:
        DataError: a shard is missing, or one of several sources is nothing that is streamed.
        MissingPackage: the library that reads them is not installed.
    """
    if not data.sources:
        found = _source(recipe.Source(photos=data.photos))
        return [found] if found else []
    sources = [(named.photos, _source(named)) for named in data.sources]
    if strange := [name for name, source in sources if source is None]:
        raise DataError(
            f"data.sources: {strange[0]} is nothing that is streamed",
            f"Give shards of WebDataset, a pattern that ends in {TAR}, or the folder of a Hugging "
            "Face dataset; a folder of images stands alone: data.photos.",
        )
    return [source for _, source in sources if source]


def _source(named: recipe.Source) -> Source | None:
    """What is streamed; None of a folder of images."""
    if named.photos.endswith(TAR):
        extras.webdataset()
        return Source(named.photos, _expanded(named.photos), named.weight, tar)
    if files := huggingface.files(Path(named.photos).expanduser()):
        return Source(named.photos, files, named.weight, huggingface.photographs)
    return None


def _expanded(pattern: str) -> list[Path]:
    """The files that `pattern` names, sorted; braces are written out, then `*` and `?` looked for.

    Raises:
        DataError: one is missing, none fits, or the braces do not.
    """
    from braceexpand import braceexpand  # comes with WebDataset

    try:
        places = [Path(each).expanduser() for each in islice(braceexpand(pattern), MOST)]
        found = [(place, _fitting(place)) for place in places]
    except ValueError as error:
        raise DataError(f"{pattern} is no pattern of shards: {error}") from None
    for place, files in found:
        if not files:
            of = f", one of the {len(places)} that {pattern} names" if len(places) > 1 else ""
            raise DataError(f"there is no shard {place}{of}", "Look at data.photos or its sources.")
    return list(dict.fromkeys(file for _, files in found for file in files))


def _fitting(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    files = Path(place.anchor or ".").glob(str(place.relative_to(place.anchor)))
    return sorted(file for file in files if file.is_file())


def tar(shard: Path) -> Iterator[Encoded]:
    """The photographs in a shard of WebDataset: of each sample its one picture, whatever else is
    in it. Only the file is opened: neither commands nor addresses are followed, nothing is
    unpickled.

    Raises:
        DataError: a sample has two pictures.
        Exception: whatever a damaged file makes tarfile raise.
    """
    from webdataset.tariterators import group_by_keys, tar_file_expander

    with shard.open("rb") as stream:
        opened = [{"url": str(shard), "stream": stream}]
        files = tar_file_expander(opened, select_files=_is_picture)
        for sample in group_by_keys(files):
            suffixes = [key for key in sample if _is_picture(f"x.{key}")]
            if len(suffixes) != 1:
                raise DataError(
                    f"{shard}: sample {sample['__key__']} has {len(suffixes)} pictures, "
                    f"{', '.join(suffixes)}; expected one",
                    "Write the shards with the photograph alone.",
                )
            yield Encoded(shard / f"{sample['__key__']}.{suffixes[0]}", sample[suffixes[0]])


def _is_picture(name: str) -> bool:
    return PurePath(name).suffix.lower() in EXTENSIONS


def key(sources: Sequence[Source]) -> str:
    """Changes with the names, sizes and weights of what is streamed; nothing is read for it."""
    facts = [
        f"{source.weight} {[(shard.name, shard.stat().st_size) for shard in source.shards]}"
        for source in sources
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def split(sources: Sequence[Source], validation: int) -> photos.Split:
    """The first photographs of the first shard, as files in the user's cache folder: `validation`
    of them that are held out, and up to `EXCERPT` behind them that stand for those that train.

    Raises:
        DataError: the shard cannot be read, or has no more than those that are held out; or a
            source is a benchmark set.
    """
    for source in sources:
        _check_trains(source)
    shard, folder = sources[0].shards[0], cache_dir() / "streamed" / key(sources)
    first = _first(sources[0], validation + EXCERPT)
    if len(first) <= validation:
        raise DataError(
            f"the shard {shard} has {len(first)} photographs, of which data.validation = "
            f"{validation} would be held out: expected more",
            "Write larger shards, or hold out fewer: --set data.validation=1",
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, photograph in enumerate(first):
        paths.append(folder / f"{number:04d}{photograph.name.suffix}")
        write_bytes(paths[-1], photograph.data)
    return photos.Split(paths[validation:], paths[:validation])


def _first(source: Source, count: int) -> list[Encoded]:
    """The first photographs of a source's first shard."""
    try:
        return list(islice(source.read(source.shards[0]), count))
    except DataError:
        raise
    except Exception as error:  # damage makes tarfile raise nearly anything
        said = f"the shard {source.shards[0]} cannot be read: {reason(error)}"
        raise DataError(said) from None


def _check_trains(source: Source) -> None:
    """Refuse a benchmark set: a shard or its folder has the name, its photographs are called so."""
    shard = source.shards[0]
    for each in benchmarks.BENCHMARKS.values():
        if each.is_called(shard.stem) or each.is_called(shard.parent.name):
            stems = [photograph.name.stem for photograph in _first(source, each.images + 1)]
            if each.may_hold(stems):
                raise DataError(
                    f"{shard} is the benchmark set {each.name}, which measures and never trains",
                    "Name shards of other photographs.",
                )


def reason(error: Exception) -> str:
    """What a library says of what it cannot read, in a line; WebDataset adds to it where."""
    said = str(error.args[0] if error.args else "").partition(" @ ")[0].partition("\n")[0]
    return said or type(error).__name__
