"""The sets that super-resolution is measured on: how they lie on disk, and where they are from.

They measure; nothing is ever trained or tuned on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from edgesr import console
from edgesr.errors import DataError
from edgesr.workspace import cache_dir

# Where the HR images may lie inside a set's folder, best first: GTmod12 is already cropped.
SUBFOLDERS = ("HR", "original", "GTmod12", "image_SRF_4")
SUFFIXES = {".png", ".bmp", ".jpg", ".jpeg"}
LAYOUT = re.compile(r"hr|lr.*|x\d|original|gtmod\d+|image_srf_\d", re.IGNORECASE)
"""Names of folders inside a set's own."""
SUFFIX = r"(x\d|_SRF_\d(_HR|_LR)?|_HR|_LR)?"
"""What a resized copy of a set adds to the names of its files."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark set.

    Attributes:
        images: how many HR images it has.
        stems: a regular expression for the names of its files, without their extension.
        folders: names that its folder goes by.
        source: the authors' address, and the publication.
        terms: what its authors permit.
        archive: what `fetch` downloads; empty where nobody published a checksum for the images.
        known_hash: the archive's checksum as pooch takes it.
        mib: its size.
    """

    name: str
    images: int
    folders: tuple[str, ...]
    source: str
    terms: str
    stems: str
    archive: str = ""
    known_hash: str = ""
    mib: int = 0

    def is_called(self, folder: str) -> bool:
        """Whether a folder of the set may have this name."""
        name = folder.casefold()
        starts = self.name == "DIV2K" and name.startswith("div2k_valid")
        return starts or name in {each.casefold() for each in self.folders}

    def may_hold(self, stems: list[str]) -> bool:
        """Whether files of these names may be the set."""
        known = re.compile(f"({self.stems}){SUFFIX}", re.IGNORECASE)
        ours = sum(bool(known.fullmatch(stem)) for stem in stems)
        return bool(stems) and (2 * ours >= len(stems) or len(stems) == self.images)


_SETS = (
    Benchmark(
        "Set5",
        5,
        ("Set5",),
        "http://people.rennes.inria.fr/Aline.Roumy/results/SR_BMVC12.html "
        "(Bevilacqua et al., BMVC 2012)",
        "none stated; used for research, not to be shipped",
        r"baby|bird|butterfly|head|woman|img_00[1-5]",
    ),
    Benchmark(
        "Set14",
        14,
        ("Set14",),
        "https://sites.google.com/site/romanzeyde/research-interests "
        "(Zeyde et al., Curves and Surfaces 2010)",
        "none stated; used for research, not to be shipped",
        r"baboon|barbara|bridge|coastguard|comic|face|flowers|foreman|lenna|man|monarch|pepper|ppt3"
        r"|zebra|img_0\d\d",
    ),
    Benchmark(
        "BSD100",
        100,
        ("BSD100", "BSDS100", "B100"),
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/ "
        "(Martin et al., ICCV 2001: the test images of BSDS300)",
        "non-commercial research and education",
        r"\d{4,6}|img_\d{3}",
    ),
    Benchmark(
        "Urban100",
        100,
        ("Urban100",),
        "https://github.com/jbhuang0604/SelfExSR (Huang et al., CVPR 2015)",
        "photographs from Flickr under Creative Commons licences",
        r"img_\d{3}",
    ),
    Benchmark(
        "Manga109",
        109,
        ("Manga109",),
        "http://www.manga109.org (Matsui et al., Multimedia Tools and Applications 2017)",
        "academic use, on application to its authors",
        r"AisazuNihaIrarenai|ARMS|YumeiroCooking|img_\d{3}",
    ),
    Benchmark(
        "DIV2K",
        100,
        ("DIV2K_valid_HR",),
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/ (Agustsson and Timofte, CVPRW 2017: "
        "its validation images)",
        "academic research only",
        r"08\d\d|0900",
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_valid_HR.zip",
        "md5:9fcdda83005c5e5997799b69f955ff88",
        428,
    ),
)
BENCHMARKS = {benchmark.name: benchmark for benchmark in _SETS}


def find(name: str, root: Path) -> list[Path]:
    """The HR images of benchmark set `name`, sorted.

    Args:
        root: the set's own folder, or the one that holds it. The images may lie in it directly
            or in `HR/`, `original/`, `GTmod12/` or `image_SRF_4/` (there, files `*_HR.png`).

    Raises:
        DataError: an unknown name, no such folder, or another number of images than the set has.
    """
    benchmark = _named(name)
    folder = _folder(benchmark, root)
    if folder is None:
        raise DataError(f"no folder {' or '.join(benchmark.folders)} in {root}", _get(benchmark))
    images = _images(folder)
    if len(images) != benchmark.images:
        raise DataError(
            f"{name} in {folder} has {len(images)} images, expected {benchmark.images}",
            _get(benchmark),
        )
    return images


PLACES = (Path("data"), Path("data/benchmarks"), Path("data/DIV2K"))
"""Where sets are looked for by their names."""


def located(name: str, roots: Iterable[Path] = PLACES) -> Path | None:
    """The folder of benchmark set `name`, with all its images, in the first of `roots` that has
    it; None where none has, or nothing is called so."""
    known = {each.casefold(): b for b in _SETS for each in (b.name, *b.folders)}
    benchmark = known.get(name.casefold())
    if benchmark is None:
        return None
    for root in roots:
        with suppress(DataError):
            return find(benchmark.name, root)[0].parent
    return None


def table(folder: Path | None = None, names: Sequence[str] = ()) -> Table:
    """The sets, all unless named, and where each was found: in `folder`, else in `PLACES`.

    Raises:
        DataError: an unknown name.
    """
    view = Table(width=78)
    for title in ("set", "images", "found in", "terms"):
        view.add_column(title, overflow="fold")
    for each in [_named(name) for name in names] or _SETS:
        found = located(each.name, PLACES if folder is None else (folder,))
        terms = each.terms + ("; --fetch" if each.archive else "")
        view.add_row(each.name, str(each.images), str(found or "-"), terms)
    return view


def sources(names: Sequence[str] = ()) -> str:
    """Where the sets, all unless named, are had: a line each, which no cell breaks."""
    return "\n".join(f"{each}: {_named(each).source}" for each in names or BENCHMARKS)


def fetch_all(names: Sequence[str], root: Path) -> None:
    """Download those of the sets that can be had so into `root`, and say where the rest is had.

    Raises:
        DataError: no name, or an unknown one; or, at the end, a set that is not there.
    """
    if not names:
        raise DataError("no set is named to be fetched", f"One of {', '.join(BENCHMARKS)}.")
    absent = []
    for name in [_named(each).name for each in names]:
        if located(name, (root,)) is None:
            try:
                fetch(name, root)
            except DataError as error:
                absent.append(name)
                console.warn(f"{error.message}. {error.remedy}")
                continue
        console.say(f"{name}: {located(name, (root,))}")
    if absent:
        raise DataError(
            f"not there: {', '.join(absent)}", f"Put each into {root} in a folder of its name."
        )


def is_benchmark(folder: Path) -> str | None:
    """The set whose images lie in `folder`, if any.

    The folder, or the one that it is a usual part of (`Set5/HR`, `DIV2K_valid_LR_bicubic/X4`), has
    the set's name; and at least half of its files are called as the set's are, or there are as
    many. A name alone says nothing: somebody's own photographs may lie in `b100`.
    """
    for place in {folder, folder.resolve()}:
        named = place
        while LAYOUT.fullmatch(named.name):
            named = named.parent
        for benchmark in _SETS:
            if benchmark.is_called(named.name) and benchmark.may_hold(_stems(place)):
                return benchmark.name
    return None


def _stems(folder: Path) -> list[str]:
    return [path.stem for path in folder.iterdir() if path.suffix and path.stem[0] != "."]


def fetch(name: str, root: Path) -> list[Path]:
    """Download a set from its authors into `root`, and find it there. Only DIV2K can be had so.

    Raises:
        DataError: another set, for which the message says where to get it; or the download failed.
    """
    benchmark = _named(name)
    if not benchmark.archive:
        raise DataError(f"{name} cannot be downloaded by edgesr", _get(benchmark))
    try:
        _download(benchmark, root)
    except (OSError, ValueError) as error:  # requests' errors, and pooch's at a wrong checksum
        raise DataError(f"{name} could not be downloaded: {error}", _get(benchmark)) from None
    return find(name, root)


def _download(benchmark: Benchmark, root: Path) -> None:
    import pooch

    with console.bar(f"{benchmark.name} from its authors", benchmark.mib, unit="MiB") as bar:
        pooch.retrieve(
            benchmark.archive,
            benchmark.known_hash,
            path=cache_dir() / "downloads",
            downloader=pooch.HTTPDownloader(progressbar=console.DownloadProgress(bar), timeout=30),
            processor=pooch.Unzip(extract_dir=str(root.resolve())),
        )


def _named(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise DataError(f"unknown benchmark set '{name}', expected {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def _folder(benchmark: Benchmark, root: Path) -> Path | None:
    names = {folder.casefold() for folder in benchmark.folders}
    if root.is_dir():
        for folder in (root.resolve(), *sorted(root.iterdir())):
            if folder.name.casefold() in names and folder.is_dir():
                return folder
    return None


def _images(folder: Path) -> list[Path]:
    inside = next((folder / sub for sub in SUBFOLDERS if (folder / sub).is_dir()), folder)
    images = sorted(p for p in inside.iterdir() if p.suffix.lower() in SUFFIXES)
    return [p for p in images if p.stem.endswith("_HR")] or images


def where_to_get(folder: Path) -> str:
    """Where the set that `folder` is called after is had from; empty where it is none."""
    named = {name.casefold(): b for b in _SETS for name in (b.name, *b.folders)}
    benchmark = named.get(folder.name.casefold())
    return _get(benchmark) if benchmark else ""


def _get(benchmark: Benchmark) -> str:
    return f"Get it from {benchmark.source}; terms: {benchmark.terms}."
