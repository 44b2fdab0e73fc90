"""The sets that super-resolution is measured on: how they lie on disk, and where they are from.

They measure; nothing is ever trained or tuned on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesr import console
from edgesr.errors import DataError
from edgesr.workspace import cache_dir

# Where the HR images may lie inside a set's folder, best first: GTmod12 is already cropped.
SUBFOLDERS = ("HR", "original", "GTmod12", "image_SRF_4")
SUFFIXES = {".png", ".bmp", ".jpg", ".jpeg"}


@dataclass(frozen=True)
class Benchmark:
    """A benchmark set.

    Attributes:
        images: how many HR images it has.
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
    archive: str = ""
    known_hash: str = ""
    mib: int = 0


_SETS = (
    Benchmark(
        "Set5",
        5,
        ("Set5",),
        "http://people.rennes.inria.fr/Aline.Roumy/results/SR_BMVC12.html "
        "(Bevilacqua et al., BMVC 2012)",
        "none stated; used for research, not to be shipped",
    ),
    Benchmark(
        "Set14",
        14,
        ("Set14",),
        "https://sites.google.com/site/romanzeyde/research-interests "
        "(Zeyde et al., Curves and Surfaces 2010)",
        "none stated; used for research, not to be shipped",
    ),
    Benchmark(
        "BSD100",
        100,
        ("BSD100", "BSDS100", "B100"),
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/ "
        "(Martin et al., ICCV 2001: the test images of BSDS300)",
        "non-commercial research and education",
    ),
    Benchmark(
        "Urban100",
        100,
        ("Urban100",),
        "https://github.com/jbhuang0604/SelfExSR (Huang et al., CVPR 2015)",
        "photographs from Flickr under Creative Commons licences",
    ),
    Benchmark(
        "Manga109",
        109,
        ("Manga109",),
        "http://www.manga109.org (Matsui et al., Multimedia Tools and Applications 2017)",
        "academic use, on application to its authors",
    ),
    Benchmark(
        "DIV2K",
        100,
        ("DIV2K_valid_HR",),
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/ (Agustsson and Timofte, CVPRW 2017: "
        "its validation images)",
        "academic research only",
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


def is_benchmark(path: Path) -> str | None:
    """The set that `path`, a file or a folder, lies in or is, by the names of the folders."""
    names = {f.casefold(): b.name for b in _SETS for f in b.folders}
    resolved = path.resolve()
    for part in (*path.parts, *resolved.parts):
        folded = part.casefold()
        if folded in names:
            return names[folded]
        if folded.startswith("div2k_valid"):
            return "DIV2K"
    return None


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

    with console.bar(f"{benchmark.name} from its authors", benchmark.mib) as bar:
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


def _get(benchmark: Benchmark) -> str:
    return f"Get it from {benchmark.source}; terms: {benchmark.terms}."
