"""Enlarge a picture with a model that edgesr exported, without edgesr.

    pip install onnxruntime numpy pillow
    python upscale.py model.onnx photo.jpg big.png

All that an app must know is in the metadata of the ONNX file. Apache-2.0, to copy into an app.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

TILE = 256  # pixels of the small picture; bounds the memory and does not change the result

Model = Callable[[np.ndarray], np.ndarray]


def open_model(path: str) -> tuple[Model, int, int]:
    """The model as (1, 3, h, w) -> (1, 3, scale * h, scale * w), its scale and its halo.

    The halo is how many pixels around a pixel the model looks at.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    contract = {"edgesr.range": "0..1", "edgesr.layout": "NCHW", "edgesr.colour": "RGB"}
    for key, expected in contract.items():
        if facts.get(key) != expected:
            sys.exit(f"{path}: {key} is {facts.get(key)}, expected {expected}")

    dtype = facts.get("edgesr.dtype", "float32")  # or float16, where the export asked for it

    def model(lr: np.ndarray) -> np.ndarray:
        sr: np.ndarray = session.run(["sr"], {"lr": lr.astype(dtype)})[0].astype(np.float32)
        if not np.isfinite(sr).all():
            raise ValueError(f"{path} returned NaN or infinity")
        return sr

    return model, int(facts["edgesr.scale"]), int(facts["edgesr.halo"])


def spans(length: int, halo: int) -> Iterator[tuple[int, int, int, int]]:
    """Tiles along one axis: (read from, read to, keep from, keep to).

    What is kept lies a halo inside of what is read, but for the picture's own border: there the
    model pads as it does on the whole picture, and no seam can be seen.
    """
    side = min(length, TILE + 2 * halo)  # one size for all: a new one costs ONNX Runtime time
    for keep in range(0, length, TILE):
        read = min(max(keep - halo, 0), length - side)
        yield read, read + side, keep, min(keep + TILE, length)


def upscale(model: Model, small: np.ndarray, scale: int, halo: int) -> np.ndarray:
    """uint8 (H, W, 3) RGB -> uint8 (scale * H, scale * W, 3)."""
    height, width, _ = small.shape
    large = np.empty((scale * height, scale * width, 3), np.uint8)
    for top, bottom, y0, y1 in spans(height, halo):
        for left, right, x0, x1 in spans(width, halo):
            lr = small[top:bottom, left:right].transpose(2, 0, 1)[None] / np.float32(255)
            sr = model(np.ascontiguousarray(lr))[0].transpose(1, 2, 0)
            kept = sr[
                scale * (y0 - top) : scale * (y1 - top), scale * (x0 - left) : scale * (x1 - left)
            ]
            # The model does not clip: its values can lie a little outside of 0..1.
            large[scale * y0 : scale * y1, scale * x0 : scale * x1] = np.floor(
                255 * np.clip(kept, 0, 1) + 0.5
            )
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


def main(model_path: str, source: str, target: str) -> None:
    model, scale, halo = open_model(model_path)
    with Image.open(source) as image:
        profile = image.info.get("icc_profile")
        rgba = ImageOps.exif_transpose(image).convert("RGBA")
    small = np.asarray(go_on_below(rgba).convert("RGB"))
    large = Image.fromarray(upscale(model, small, scale, halo))
    if rgba.getchannel("A").getextrema()[0] < 255:
        large.putalpha(rgba.getchannel("A").resize(large.size, Image.Resampling.BICUBIC))
        if not target.lower().endswith((".png", ".webp")):  # no alpha there: laid on white
            ground = Image.new("RGBA", large.size, "white")
            large = Image.alpha_composite(ground, large).convert("RGB")
    large.save(target, icc_profile=profile, quality=95, subsampling=0)  # 4:4:4 in a JPEG


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python upscale.py MODEL.onnx PICTURE RESULT")
    try:
        main(*sys.argv[1:])
    except Exception as error:
        sys.exit(f"error: {error}")
