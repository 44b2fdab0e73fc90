"""docs/pictures.md: crops of Kodak and of drawn pages, enlarged by bicubic and by models.

    python benchmarks/pictures.py --data Kodak --teacher realesr-general-x4v3.safetensors

Bundles are taken from exports/ in the current folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from command import in_words
from numpy.typing import NDArray

from edgesr.data import named, pages, photos
from edgesr.data.degrade import enlarge, pair
from edgesr.errors import DataError
from edgesr.metrics import psnr
from edgesr.models import zoo
from edgesr.quality.evaluate import Method, upscaler_for
from edgesr.report.sheet import sheet
from edgesr.workspace import Workspace, atomic, write_text

Pixels = NDArray[np.uint8]

PAGE = Path(__file__).resolve().parents[1] / "docs/pictures.md"
FOLDER = PAGE.parent / "images/pictures"
SCALE, SIDE, ZOOM, COLUMNS = 4, 160, 2, 4
BUNDLES = ("edge-s", "edge-s-real", "n4-real")
LR, TRUTH = "LR", "ground truth"
INTRODUCTION = """\
# Pictures

<!-- Written by benchmarks/pictures.py: do not edit. -->

Twelve crops, eight of the Kodak Lossless True Color Image Suite, which the Eastman Kodak Company
released for unrestricted use, and four of drawn pages on which nothing was trained. Each was
reduced four times, and spoilt as its title says ([the names](cli.md#edgesr-evaluate)); {side} x
{side} pixels of the result are shown, each twice as wide and high, with the PSNR on Y of the crop.

`{teacher}` is a public network of {millions:.2f} million parameters for such pictures
(BSD-3-Clause, [Real-ESRGAN](https://github.com/xinntao/Real-ESRGAN)); it is not shipped.

```
python benchmarks/pictures.py --data Kodak --teacher {teacher}.safetensors
```
"""


@dataclass(frozen=True)
class Crop:
    """A square of a picture: which, its corner in HR pixels, and how LR is made."""

    picture: str
    left: int
    top: int
    degradation: str

    @property
    def file(self) -> str:
        return f"{self.picture.replace(' ', '-')}-{self.degradation}.webp"


CROPS = (
    Crop("kodim05", 300, 260, "clean"),
    Crop("kodim04", 190, 290, "jpeg75"),
    Crop("kodim19", 20, 540, "jpeg75"),
    Crop("kodim20", 320, 240, "jpeg75"),
    Crop("kodim08", 580, 300, "jpeg40"),
    Crop("kodim10", 180, 48, "jpeg40"),
    Crop("kodim23", 420, 148, "blur-jpeg60"),
    Crop("kodim15", 400, 100, "noise10-jpeg70"),
    Crop("drawn text", 170, 340, "jpeg75"),
    Crop("drawn icons", 0, 0, "clean"),
    Crop("drawn chart", 120, 200, "jpeg40"),
    Crop("drawn strokes", 200, 60, "noise10-jpeg70"),
)
DRAWN = {"text": 100_020, "icons": 100_001, "chart": 100_002, "strokes": 100_003}
"""Seeds far beyond those that are trained on, which are counted from 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True, help="a public model file")
    parser.add_argument("--data", type=Path, required=True, help="a folder of Kodak's pictures")
    given = parser.parse_args()
    teacher = upscaler_for(given.teacher)
    methods = {name: upscaler_for(Workspace().bundle(name)) for name in BUNDLES}
    methods[given.teacher.stem] = teacher
    for crop in CROPS:
        write(crop, picture(crop.picture, given.data), methods)
    millions = parameters(given.teacher) / 1e6
    words = INTRODUCTION.format(side=SIDE, teacher=given.teacher.stem, millions=millions)
    write_text(PAGE, words + "".join(map(section, CROPS)))


def parameters(path: Path) -> int:
    """Of the network in a model file."""
    return sum(weights.numel() for weights in zoo.load(path).module.parameters())


@cache
def picture(name: str, kodak: Path) -> Pixels:
    """The photograph `kodim05` of Kodak's folder, or the page `drawn text`.

    Raises:
        DataError: the photograph is not there.
    """
    if name.startswith("drawn "):
        return pages.page(DRAWN[name.removeprefix("drawn ")])
    number = int(name.removeprefix("kodim"))
    for path in photos.find(kodak, "Name Kodak's folder: --data DIR"):
        if path.stem.lower() in (str(number), name):
            return photos.decode(path)
    raise DataError(f"{kodak} has no {name}", "The set has kodim01 to kodim24.")


def write(crop: Crop, hr: Pixels, methods: Mapping[str, Method]) -> None:
    """Enlarge the whole picture by each method, and write the sheet of their crops."""
    chain = named.parse(crop.degradation)
    hr, lr = pair(hr, SCALE, chain, named.seed_of(crop.picture))
    pixels = lr.repeat(SCALE, 0).repeat(SCALE, 1)
    large = {LR: pixels, "bicubic": enlarge(lr, SCALE)}
    large |= {name: method(lr) for name, method in methods.items()} | {TRUTH: hr}
    square = slice(crop.top, crop.top + SIDE), slice(crop.left, crop.left + SIDE)
    shown = {label(name, p[square], hr[square]): p[square] for name, p in large.items()}
    with atomic(FOLDER / crop.file) as path:
        sheet(shown, columns=COLUMNS, zoom=ZOOM).save(path, "WebP", quality=92, method=6)


def label(name: str, pixels: Pixels, hr: Pixels) -> str:
    """The method's name, with its PSNR on Y in dB where it has one."""
    return name if name in (LR, TRUTH) else f"{name}, {psnr(pixels, hr, 0):.2f} dB"


def section(crop: Crop) -> str:
    """The page's lines for a crop."""
    words = f"{crop.picture}, {crop.degradation}"
    steps = named.parse(crop.degradation)
    return f"\n## {words}\n\n{steps}.\n\n![{words}](images/pictures/{crop.file})\n"


if __name__ == "__main__":
    in_words(main)
