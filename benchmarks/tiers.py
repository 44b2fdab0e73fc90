"""What ships, beside what it replaces: latency at several sizes, from the bundles' files.

    python benchmarks/tiers.py --sizes 128x128 320x180       docs/performance.md's speed table
    python benchmarks/tiers.py --provider cuda               the same on a GPU
    python benchmarks/tiers.py --plain FILE.onnx             writes N=4 as usually exported alone,
                                                             for README's `edgesr compare`

All files are open at once with their spinning off, and take turns, so that a drift of the machine
meets all of them alike; bicubic by Pillow takes its turn too, on one thread, which is all it has.
"N=4 as usually exported" is the shipped student without edgesr's rewrites, simplified by onnxsim.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from command import in_words
from numpy.typing import NDArray
from PIL import Image
from rewrite import PLAIN
from turns import medians

from edgesr.bounds import parse_size
from edgesr.bundle.card import read_card
from edgesr.deploy.export import export_onnx
from edgesr.inference.session import open_session
from edgesr.models import zoo
from edgesr.models.zoo import Student
from edgesr.recipe import Export, Variant

SHIPPED = ("teacher", "n4", "n4-psnr", "edge-m", "edge-s", "edge-s-gan", "edge-xs")
REFERENCE = "N=4 as usually exported"
VARIANTS: dict[str, tuple[Variant, ...]] = {
    "cpu": ("fp32", "int8"),
    "cuda": ("fp32", "fp16", "int8"),
}
"""That are timed; the CPU has no arithmetic of 16 bits."""


@dataclass(frozen=True)
class Entry:
    """A row: a model file, or bicubic where there is none."""

    name: str
    file: Path | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--plain", type=Path, metavar="FILE", help="write the reference, and end")
    parser.add_argument("--sizes", nargs="+", default=["128x128"])
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    if options.plain:
        write_plain(options.exports / "n4-psnr", options.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        print_table(list(found(options.exports, Path(folder), VARIANTS[options.provider])), options)


def print_table(entries: list[Entry], options: argparse.Namespace) -> None:
    times = {size: latencies(entries, size, options) for size in options.sizes}
    where = f"{options.provider.upper()}, {options.threads} threads"
    print(f"ONNX Runtime {onnxruntime.__version__}, {where}, median of {options.runs} in turn")
    timed = [title for size in options.sizes for title in (f"ms, {size}", "times N=4")]
    print("| | " + " | ".join(timed) + " |")
    print("|---" + "|--:" * len(timed) + "|")
    for entry in entries:
        cells = [entry.name]
        for ms in times.values():
            cells += [f"{ms[entry.name]:.1f}", f"{ms[REFERENCE] / ms[entry.name]:.1f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def found(exports: Path, scratch: Path, variants: tuple[Variant, ...]) -> Iterator[Entry]:
    """Bicubic, the bundles that are there in `variants`, and N=4 as the field exports it."""
    yield Entry("bicubic, Pillow", None)
    for name in SHIPPED:
        folder = exports / name
        if not folder.is_dir():
            continue
        card = read_card(folder)
        if name == "n4-psnr":
            plain = scratch / "plain.onnx"
            write_plain(folder, plain)
            yield Entry(REFERENCE, plain)
        for variant in variants:
            if facts := card.variants.get(variant):
                title = name if variant == "fp32" else f"{name}, int8"
                yield Entry(title, folder / facts.file)


def write_plain(bundle: Path, file: Path) -> None:
    """The network of a bundle as the field exports it."""
    module = zoo.load(bundle / "weights.safetensors").module
    assert isinstance(module, Student)
    contract = {p.key: p.value for p in onnx.load(bundle / "model.onnx").metadata_props}
    export_onnx(module, file, Export(rewrites=PLAIN), metadata=contract)


def latencies(entries: list[Entry], size: str, options: argparse.Namespace) -> dict[str, float]:
    """Median latency in ms of each entry on noise, taking turns."""
    width, height = parse_size(size)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    calls = {entry.name: _call(entry, noise, options) for entry in entries}
    return medians(calls, runs=options.runs, warm_up=2)


def _call(
    entry: Entry, noise: NDArray[np.uint8], options: argparse.Namespace
) -> Callable[[], object]:
    if entry.file is None:
        height, width, _ = noise.shape
        picture = Image.fromarray(noise)
        return lambda: picture.resize((4 * width, 4 * height), Image.Resampling.BICUBIC)
    session = open_session(
        entry.file, provider=options.provider, threads=options.threads, spinning=False
    )
    lr = np.ascontiguousarray(noise.transpose(2, 0, 1)[None], np.float32) / 255
    return lambda: session.run(None, {"lr": lr})


if __name__ == "__main__":
    in_words(main)
