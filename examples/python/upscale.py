"""Enlarge a picture with a bundle that edgesr exported, without edgesr.

    pip install onnxruntime numpy pillow
    python upscale.py ../../exports/edge-s photo.jpg big.png [--variant NAME]

All that an app must know is in the bundle's card.json. Apache-2.0, to copy into an app.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FORMAT = 3  # of card.json
TILE = 256  # pixels of the small picture; bounds the memory and does not change the result
KNOWN = ("float32 NCHW RGB 0,1", "float16 NCHW RGB 0,1", "uint8 NHWC RGB 0,255")


def read_card(bundle: Path) -> dict[str, Any]:
    """What card.json says of the bundle's files."""
    path = bundle / "card.json"
    if not path.is_file():
        raise ValueError(f"{bundle} is not a bundle: it has no card.json")
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if card["format"] != FORMAT:
        raise ValueError(f"card.json is of format {card['format']}, expected {FORMAT}")
    return card


class Model:
    """One variant of a bundle, open in ONNX Runtime.

    Attributes:
        scale: how many times wider and higher the result is.
        halo: how many pixels around a pixel the network looks at.
        least, multiple: the shortest side that it takes, and of which both sides are a multiple.
        tileable: whether a large picture is cut; else the network sees the whole picture.
        window: height and width of the one size that it takes; None where it takes any.
        bytes: whether it gives RGB bytes, not floats.
    """

    def __init__(self, bundle: Path, variant: str = "fp32") -> None:
        card = read_card(bundle)
        if variant not in card["variants"]:
            raise ValueError(f"no variant {variant}, only {', '.join(card['variants'])}")
        facts = card["variants"][variant]
        takes = facts["input"]
        self.dtype: str = takes["dtype"]
        span = ",".join(map(str, takes["range"]))
        taken = f"{self.dtype} {takes['layout']} {takes['colour']} {span}"
        if taken not in KNOWN:
            raise ValueError(f"{facts['file']} takes {taken}, expected one of: {'; '.join(KNOWN)}")
        self.scale: int = card["scale"]
        self.halo: int = card["halo"]
        self.least: int = card["min_size"]
        self.multiple: int = card.get("multiple", 1)
        self.tileable: bool = card.get("tileable", True)
        self.bytes = self.dtype == "uint8"
        height, width = takes["shape"][1:3] if self.bytes else takes["shape"][2:]
        self.window = (height, width) if isinstance(height, int) else None  # else they are names
        self._session = onnxruntime.InferenceSession(
            bundle / facts["file"], providers=["CPUExecutionProvider"]
        )

    def infer(self, rgb: np.ndarray) -> np.ndarray:
        """What the file makes of RGB bytes (H, W, 3): such bytes, or floats, nominally 0..1."""
        lr = rgb[np.newaxis]
        if not self.bytes:
            planes = lr.transpose(0, 3, 1, 2) / np.float32(255)
            lr = np.ascontiguousarray(planes).astype(self.dtype)
        sr: np.ndarray = self._session.run(["sr"], {"lr": np.ascontiguousarray(lr)})[0][0]
        return sr if self.bytes else sr.astype(np.float32).transpose(1, 2, 0)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Floats, nominally 0..1 -> bytes: clipped, rounded half up."""
    return np.floor(255 * values.clip(0, 1) + 0.5).astype(np.uint8)


def padded(model: Model, small: np.ndarray) -> np.ndarray:
    """RGB bytes, mirrored at their lower and right end up to a size that the model takes."""

    def mirrored(length: int, least: int) -> np.ndarray:
        whole = -(-max(length, least) // model.multiple) * model.multiple
        at = np.arange(whole)
        return np.where(at < length, at, np.maximum(2 * (length - 1) - at, 0))

    rows, columns = map(mirrored, small.shape, model.window or (model.least, model.least))
    return small[rows][:, columns]


def sides(model: Model, whole: np.ndarray) -> tuple[int, int]:
    """Height and width of what is read for each tile of a padded picture."""
    if model.window:
        return model.window
    height, width, _ = whole.shape
    if not model.tileable:
        return height, width
    side = -(-TILE // model.multiple) * model.multiple + 2 * model.halo
    return min(height, side), min(width, side)


def spans(length: int, whole: int, side: int, halo: int) -> Iterator[tuple[int, int, int]]:
    """Tiles along an axis that is padded from `length` to `whole`: (read from, keep from, keep to).

    `side` is read each time, shifted inwards at the end: a new size costs ONNX Runtime time, and
    some files take one size alone. What is kept lies a halo inside of what is read, but for the
    picture's own border: there the model pads as it does on the whole picture, and no seam can be
    seen.
    """
    kept = 0
    while kept < length:
        read = min(max(kept - halo, 0), whole - side)
        end = whole if read + side == whole else read + side - halo
        yield read, kept, min(end, length)
        kept = end


def tiles(model: Model, small: np.ndarray) -> Iterator[tuple[np.ndarray, slice, slice]]:
    """What the model makes of RGB bytes (H, W, 3), piece by piece: a piece as `Model.infer` gives
    it, and the rows and columns of the large picture that it is."""
    whole, scale = padded(model, small), model.scale
    height, width = sides(model, whole)
    for top, y0, y1 in spans(small.shape[0], whole.shape[0], height, model.halo):
        for left, x0, x1 in spans(small.shape[1], whole.shape[1], width, model.halo):
            sr = model.infer(whole[top : top + height, left : left + width])
            if sr.shape != (scale * height, scale * width, 3):
                raise ValueError(f"the model returned {sr.shape} of {height} x {width} pixels")
            rows, columns = slice(scale * y0, scale * y1), slice(scale * x0, scale * x1)
            own = sr[scale * (y0 - top) :, scale * (x0 - left) :]
            yield own[: scale * (y1 - y0), : scale * (x1 - x0)], rows, columns


def upscale(model: Model, small: np.ndarray) -> np.ndarray:
    """RGB bytes (H, W, 3) -> RGB bytes (scale * H, scale * W, 3)."""
    height, width, _ = small.shape
    large = np.empty((model.scale * height, model.scale * width, 3), np.uint8)
    for sr, rows, columns in tiles(model, small):
        if not np.isfinite(sr).all():
            raise ValueError("the model returned NaN or infinity")
        large[rows, columns] = sr if model.bytes else to_bytes(sr)
    return large


def go_on_below(image: Image.Image) -> Image.Image:
    """RGBA whose colours go on below transparency as those beside it end.

    What a file stores there is arbitrary, mostly black, and the model would draw it into the edge.
    """
    seen = image.getchannel("A").point([0] + [255] * 255)
    top = image.copy()
    top.putalpha(seen)
    if seen.getextrema()[0] == 255 or max(image.size) == 1:
        return top
    half = go_on_below(top.reduce(2))
    below = half.resize((2 * half.width, 2 * half.height), Image.Resampling.NEAREST)
    return Image.alpha_composite(below.crop((0, 0, *image.size)), top)


def main(bundle: Path, source: str, target: str, variant: str) -> None:
    model = Model(bundle, variant)
    with Image.open(source) as image:
        profile = image.info.get("icc_profile")
        rgba = ImageOps.exif_transpose(image).convert("RGBA")
    large = Image.fromarray(upscale(model, np.asarray(go_on_below(rgba).convert("RGB"))))
    if rgba.getchannel("A").getextrema()[0] < 255:
        large.putalpha(rgba.getchannel("A").resize(large.size, Image.Resampling.BICUBIC))
        if not target.lower().endswith((".png", ".webp")):  # no alpha there: laid on white
            ground = Image.new("RGBA", large.size, "white")
            large = Image.alpha_composite(ground, large).convert("RGB")
    large.save(target, icc_profile=profile, quality=95, subsampling=0)  # 4:4:4 in a JPEG


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Enlarge a picture with a bundle of edgesr.")
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    parser.add_argument("source", metavar="PICTURE")
    parser.add_argument("target", metavar="RESULT", help="its suffix names the format")
    parser.add_argument("--variant", metavar="NAME", default="fp32", help="fp32, int8, ...")
    given = parser.parse_args()
    try:
        main(given.bundle, given.source, given.target, given.variant)
    except Exception as error:
        sys.exit(f"error: {error}")
