"""What ships, beside what it replaces: quality, size, cost and latency, from the bundles' files.

    python benchmarks/tiers.py --data Set5 Set14 BSD100      README's first table
    python benchmarks/tiers.py --sizes 128x128 320x180       docs/performance.md's speed table

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
from edgesr.data import photos
from edgesr.data.degrade import bicubic_up, to_image, to_tensor
from edgesr.deploy.export import export_onnx
from edgesr.inference.session import open_session
from edgesr.inference.upscaler import Upscaler
from edgesr.models import zoo
from edgesr.models.zoo import Student
from edgesr.quality.evaluate import Method, evaluate, load_images
from edgesr.recipe import Export
from edgesr.verify.cost import cost, total

SHIPPED = ("teacher", "n4", "n4-psnr", "edge-m", "edge-s", "edge-s-gan", "edge-xs")
REFERENCE = "N=4 as usually exported"


@dataclass(frozen=True)
class Entry:
    """A row: a model file, or bicubic where there is none."""

    name: str
    file: Path | None
    parameters: int = 0
    macs_per_pixel: float = 0.0

    @property
    def megabytes(self) -> float:
        return 0.0 if self.file is None else self.file.stat().st_size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of HR pictures")
    parser.add_argument("--sizes", nargs="+", default=["128x128"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    for data in options.data:
        photos.find(data)  # before anything is timed
    with tempfile.TemporaryDirectory() as folder:
        print_table(list(found(options.exports, Path(folder))), options)


def print_table(entries: list[Entry], options: argparse.Namespace) -> None:
    times = {size: latencies(entries, size, options) for size in options.sizes}
    print(
        f"ONNX Runtime {onnxruntime.__version__}, CPU, {options.threads} threads, "
        f"median of {options.runs} in turn"
    )
    timed = [title for size in options.sizes for title in (f"ms, {size}", "times N=4")]
    sets = [data.name for data in options.data]
    print("| | parameters | MACs per LR pixel | file, MB | " + " | ".join(timed + sets) + " |")
    print("|---|--:|--:|--:" + "|--:" * len(timed + sets) + "|")
    for entry in entries:
        cells = [entry.name, *facts(entry)]
        for ms in times.values():
            cells += [f"{ms[entry.name]:.1f}", f"{ms[REFERENCE] / ms[entry.name]:.1f}"]
        print("| " + " | ".join(cells + scores(entry, options.data)) + " |", flush=True)


def found(exports: Path, scratch: Path) -> Iterator[Entry]:
    """Bicubic, the bundles that are there in fp32 and int8, and N=4 as the field exports it."""
    yield Entry("bicubic, Pillow", None)
    for name in SHIPPED:
        folder = exports / name
        if not folder.is_dir():
            continue
        card = read_card(folder)
        whole = total(cost(card.spec, "64x64"))
        size = (whole.parameters, whole.macs / 64**2)
        if name == "n4-psnr":
            module = zoo.load(folder / "weights.safetensors").module
            assert isinstance(module, Student)
            plain = scratch / "plain.onnx"
            contract = {p.key: p.value for p in onnx.load(folder / "model.onnx").metadata_props}
            export_onnx(module, plain, Export(rewrites=PLAIN), metadata=contract)
            yield Entry(REFERENCE, plain, *size)
        for variant in ("fp32", "int8"):
            if facts := card.variants.get(variant):
                title = name if variant == "fp32" else f"{name}, int8"
                yield Entry(title, folder / facts.file, *size)


def latencies(entries: list[Entry], size: str, options: argparse.Namespace) -> dict[str, float]:
    """Median latency in ms of each entry on noise, taking turns."""
    width, height = parse_size(size)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    calls = {entry.name: _call(entry, noise, options.threads) for entry in entries}
    return medians(calls, runs=options.runs, warm_up=2)


def _call(entry: Entry, noise: NDArray[np.uint8], threads: int) -> Callable[[], object]:
    if entry.file is None:
        height, width, _ = noise.shape
        picture = Image.fromarray(noise)
        return lambda: picture.resize((4 * width, 4 * height), Image.Resampling.BICUBIC)
    session = open_session(entry.file, provider="cpu", threads=threads, spinning=False)
    lr = np.ascontiguousarray(noise.transpose(2, 0, 1)[None], np.float32) / 255
    return lambda: session.run(None, {"lr": lr})


def scores(entry: Entry, sets: list[Path]) -> list[str]:
    """PSNR and SSIM on each set."""
    upscale = _bicubic if entry.file is None else Upscaler(entry.file, provider="cpu")
    method = Method(4, upscale)
    means = [evaluate(method, load_images(data), lpips=None).mean for data in sets]
    return [f"{mean.psnr_db:.2f} / {mean.ssim:.3f}" for mean in means]


def _bicubic(lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return to_image(bicubic_up(to_tensor(lr), 4))


def facts(entry: Entry) -> list[str]:
    """Parameters, MACs per LR pixel, file size."""
    if entry.file is None:
        return ["", "", ""]
    macs = f"{entry.macs_per_pixel / 1e3:,.0f} k"
    return [f"{entry.parameters:,}", macs, f"{entry.megabytes:.2f}"]


if __name__ == "__main__":
    in_words(main)
