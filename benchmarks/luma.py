"""Luma alone through the network, chroma by bicubic: what that is worth against RGB.

    python benchmarks/luma.py --data Kodak

LR is what a 4:2:0 frame of full range holds of a photograph reduced four times, and the result is a
4:2:0 frame again. "luma" gives the network Y as grey and takes the luma of what it makes: one of
RGB runs whole for it, one of Y (edge-s-luma) has a single channel in and out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from command import in_words
from flicker import SCALE, truth
from PIL import Image

from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, to_image, to_tensor
from edgesr.inference.upscaler import Upscaler
from edgesr.metrics import mean_db, psnr, psnr_rgb
from edgesr.video import planes
from edgesr.video.facts import BT601
from edgesr.video.y4m import LAYOUTS

MODELS = ("edge-xs:int8", "edge-s:int8", "edge-s-luma:int8", "edge-s:fp32", "edge-s-luma:fp32")
MODELS = (*MODELS, "edge-s-real:int8")
LAYOUT = LAYOUTS["420jpeg"]

Size = tuple[int, int]
Way = Callable[[Upscaler, bytes, Size], bytes]


def by_rgb(upscaler: Upscaler, data: bytes, size: Size) -> bytes:
    """A frame's planes, enlarged as RGB."""
    rgb = planes.to_rgb(data, LAYOUT, size, BT601, True)
    return planes.to_planes(upscaler(rgb), LAYOUT, BT601, True)


def by_luma(upscaler: Upscaler, data: bytes, size: Size) -> bytes:
    """A frame's planes, luma by the network and chroma by bicubic."""
    width, height = size
    luma = np.frombuffer(data, np.uint8, width * height).reshape(height, width)
    large = [upscaler(luma).tobytes()]
    small = LAYOUT.chroma(width, height)
    for at in (0, 1):
        start = width * height + at * small[0] * small[1]
        plane = Image.frombuffer("L", small, data[start : start + small[0] * small[1]])
        size_of_chroma = (SCALE * small[0], SCALE * small[1])
        large.append(plane.resize(size_of_chroma, Image.Resampling.BICUBIC).tobytes())
    return b"".join(large)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--data", type=Path, required=True, help="photographs of 768 x 512")
    parser.add_argument("--photographs", type=int, default=24)
    options = parser.parse_args()
    pictures = [truth(path, 1)[0] for path in photos.find(options.data)[: options.photographs]]
    print("| model | by | PSNR on Y, dB | on RGB, dB | ms of processor a frame |")
    print("|---|---|--:|--:|--:|")
    for named in MODELS:
        name, variant = named.split(":")
        if not (options.exports / name).is_dir():
            continue
        upscaler = Upscaler(options.exports / name, variant=variant, provider="cpu", threads=1)
        for way, title in ((by_rgb, "RGB"), (by_luma, "luma")):
            print(
                f"| {name}, {variant} | {title} | {scores(upscaler, way, pictures)} |", flush=True
            )


def scores(upscaler: Upscaler, way: Way, pictures: list[np.ndarray]) -> str:
    on_y, on_rgb, seconds = [], [], []
    for hr in pictures:
        lr = to_image(bicubic_down(to_tensor(hr), SCALE))
        size = (lr.shape[1], lr.shape[0])
        data = planes.to_planes(lr, LAYOUT, BT601, True)
        start = time.process_time()
        large = way(upscaler, data, size)
        seconds.append(time.process_time() - start)
        sr = planes.to_rgb(large, LAYOUT, (hr.shape[1], hr.shape[0]), BT601, True)
        on_y.append(psnr(sr, hr, SCALE))
        on_rgb.append(psnr_rgb(sr, hr, SCALE))
    milliseconds = 1e3 * float(np.median(seconds))
    return f"{mean_db(on_y):.2f} | {mean_db(on_rgb):.2f} | {milliseconds:.1f}"


if __name__ == "__main__":
    in_words(main)
