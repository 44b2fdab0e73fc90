"""How steady enlarged videos are: photographs under a camera that moves by known pixels.

    python benchmarks/flicker.py --data Kodak                    a table, some minutes
    python benchmarks/flicker.py --data Kodak --sheet video.jpg  four frames, before and after

HR frames are crops that move by (1, 2) pixels a frame, so LR, reduced four times, is sampled
elsewhere in each. Two results that follow one another are laid over each other by that known
movement: what then differs is flicker, as levels of Y (mean absolute), and 0 for HR itself. Each
clip is also enlarged from H.264 at CRF 28, as videos come.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import moving
import numpy as np
from command import in_words
from moving import Pixels
from PIL import Image

from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, bicubic_up, to_image, to_tensor
from edgesr.inference.upscaler import Upscaler
from edgesr.metrics import luma, mean_db, psnr
from edgesr.video.facts import Picture
from edgesr.video.reading import Clip

SCALE = 4
SIZE = (480, 320)
STEP = (1, 2)
MODELS = ("edge-xs", "edge-s", "edge-m", "n4", "edge-s-gan", "edge-s-real", "edge-s-video")
SHAVE = 16
"""HR pixels that are not looked at along each border."""
QUALITY = 28
SHEET = ("bicubic", "edge-s", "edge-s-video")

Enlarge = Callable[[Pixels], Pixels]


def truth(path: Path, count: int) -> list[Pixels]:
    """HR frames along a straight line."""
    whole = np.asarray(Image.open(path).convert("RGB"))
    if whole.shape[0] > whole.shape[1]:
        whole = whole.transpose(1, 0, 2)
    return [
        np.ascontiguousarray(
            whole[STEP[0] * at : STEP[0] * at + SIZE[1], STEP[1] * at : STEP[1] * at + SIZE[0]]
        )
        for at in range(count)
    ]


def compressed(frames: list[Pixels]) -> list[Pixels]:
    """The frames as H.264 leaves them."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "clip.mp4"
        moving.write(path, iter(frames), QUALITY)
        items = list(Clip(path).items())
    return [item.pixels for item in items if isinstance(item, Picture) and item.pixels is not None]


def flicker(frames: Iterable[Pixels]) -> float:
    """Mean absolute difference of Y between neighbours that are laid over each other."""
    inner = [luma(frame)[SHAVE:-SHAVE, SHAVE:-SHAVE] for frame in frames]
    down, across = STEP
    differences = [
        np.abs(after[:-down, :-across] - before[down:, across:]).mean()
        for before, after in pairwise(inner)
    ]
    return float(np.mean(differences))


def bicubic(lr: Pixels) -> Pixels:
    return to_image(bicubic_up(to_tensor(lr), SCALE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--data", type=Path, required=True, help="photographs of 768 x 512")
    parser.add_argument("--photographs", type=int, default=6)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--sheet", type=Path, help="also write four frames, before and after")
    options = parser.parse_args()
    found = photos.find(options.data)[: options.photographs]
    clips = [truth(path, options.frames) for path in found]
    methods: dict[str, Enlarge] = {"bicubic": bicubic}
    for name in MODELS:
        if (options.exports / name).is_dir():
            methods[name] = Upscaler(options.exports / name, provider="cpu")
    print_table(clips, methods)
    if options.sheet:
        sheet(clips, methods, options.sheet)


def print_table(clips: list[list[Pixels]], methods: dict[str, Enlarge]) -> None:
    small = [[to_image(bicubic_down(to_tensor(hr), SCALE)) for hr in clip] for clip in clips]
    sources = {"clean": small, f"H.264, CRF {QUALITY}": [compressed(clip) for clip in small]}
    print("| model | " + " | ".join(f"{name}: flicker | PSNR, dB" for name in sources) + " |")
    print("|---|" + "--:|--:|" * len(sources))
    for name, enlarge in methods.items():
        cells = []
        for lr in sources.values():
            large = [[enlarge(frame) for frame in clip] for clip in lr]
            scores = [
                psnr(sr, hr, SCALE)
                for srs, hrs in zip(large, clips, strict=True)
                for sr, hr in zip(srs, hrs, strict=True)
            ]
            cells += [f"{np.mean([flicker(srs) for srs in large]):.2f}", f"{mean_db(scores):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def sheet(clips: list[list[Pixels]], methods: dict[str, Enlarge], path: Path) -> None:
    """A frame of each of four clips at CRF 28: by each method that is there, and HR."""
    rows = []
    for clip in clips[:4]:
        lr = compressed([to_image(bicubic_down(to_tensor(hr), SCALE)) for hr in clip])[-1]
        shown = [methods[name](lr) for name in SHEET if name in methods]
        rows.append(np.hstack([frame[60:240, 100:380] for frame in (*shown, clip[-1])]))
    Image.fromarray(np.vstack(rows)).save(path, quality=82)


if __name__ == "__main__":
    in_words(main)
