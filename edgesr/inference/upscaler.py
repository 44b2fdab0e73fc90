"""An exported model behind one call: image in, a larger image out.

    import edgesr
    big = edgesr.Upscaler("exports/n4")(image)

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar, cast

import numpy as np
from PIL import Image

from edgesr import console, shipped
from edgesr.errors import DataError, VerifyError
from edgesr.inference import alpha, decode, padding, tiling
from edgesr.inference import memory as budgets
from edgesr.inference.memory import Windows
from edgesr.inference.model import Model
from edgesr.inference.session import EXACT, CudaSettings, Provider
from edgesr.inference.tiling import OnTile, Pixels, ignore

Picture = TypeVar("Picture", Pixels, Image.Image)

UNMEASURED = 256
"""The tile on CUDA, in LR pixels: how much of a GPU's memory a window takes is not measured."""


class Upscaler:
    """Enlarges images with a bundle or an ONNX file that edgesr exported.

    Args:
        path: a bundle's folder, or one of its model files; or a bundle's name, in ./exports or of
            those that come along (`edgesr models`).
        variant: of the bundle: fp32, fp16, int8 or uint8-io.
        threads: of the CPU; None leaves it to ONNX Runtime.
        provider: "cpu" or "cuda"; None takes CUDA where it works.
        tile: side, in LR pixels, of what a window contributes to the image; it does not change the
            result. "auto" chooses windows that fit into `memory`; on CUDA it is 256.
        memory: what the process may hold, e.g. "512MB" or "1.5GiB": all that it held when the
            model was opened, the image, and the work on it. The result of a call comes on top.
            None allows 512MB more than it held.
        wrap: whether images are textures that tile: beyond each edge the model sees the opposite
            one, so that the result tiles as well.
        cuda: how a GPU is used: its memory, TF32, the search for algorithms.

    Attributes:
        scale: how many times larger the result is.
        halo: radius of the model's receptive field, in LR pixels.
        min_size: the shortest side that the model takes, in LR pixels.
        multiple: of which the sides are that the model takes; others are mirrored up to the next.
        tileable: whether large images are cut; else the model sees the whole image, and
            `memory` bounds what it takes.
        takes_16_bits: whether uint16 is enlarged as such: by every variant but uint8-io.

    Raises:
        ModelError: no such file, none of edgesr's, or one that does not keep to its metadata.
        VerifyError: the provider that was asked for is unknown or does not work here.
        DataError: a tile, or a number of threads, below one, or a memory that is not an amount; or
            `wrap` where the model decides each pixel by the whole image.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        variant: str = "fp32",
        threads: int | None = None,
        provider: str | None = None,
        tile: int | Literal["auto"] = "auto",
        memory: str | None = None,
        wrap: bool = False,
        cuda: CudaSettings = EXACT,
    ) -> None:
        if tile != "auto" and tile < 1:
            raise DataError(f"tile = {tile}: expected auto, or at least 1 LR pixel")
        if threads is not None and threads < 1:
            raise DataError(f"threads = {threads}: expected at least 1")
        if provider not in ("cpu", "cuda", None):
            raise VerifyError(f"provider {provider!r}: expected cpu or cuda")
        requested = budgets.parse(memory or budgets.BUDGET)
        file = shipped.find(Path(path))
        if file.is_dir():
            file /= "model.onnx" if variant == "fp32" else f"model.{variant}.onnx"
        self._model = Model(
            file, provider=cast("Provider | None", provider), threads=threads, cuda=cuda
        )
        contract = self._model.contract
        self.scale, self.halo, self.min_size = contract.scale, contract.halo, contract.min_size
        self.multiple, self.tileable = contract.multiple, contract.tileable
        self.takes_16_bits = not contract.takes_bytes
        if wrap and not self.tileable:
            raise DataError(f"{file} sees the whole image: what lies beyond an edge has no end")
        margin = max(self.halo, alpha.REACH)
        self._margin = padding.rounded_up(margin, self.multiple) if wrap else 0
        self.tile = tile if tile != "auto" or self._model.on_cpu else UNMEASURED
        self._held = budgets.resident()
        self.budget = requested if memory else self._held + requested
        self._windows: Windows | None = None

    def __call__(self, image: Picture, on_tile: OnTile = ignore) -> Picture:
        """Enlarge one image.

        Args:
            image: uint8 (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey, or uint16 likewise where
                `takes_16_bits`; or a Pillow image, which is turned as its EXIF says and keeps its
                ICC profile, EXIF and dpi. Alpha is enlarged by bicubic; below transparency the
                model sees the nearest opaque colours.
            on_tile: called after each tile with how many are done, of how many.

        Returns:
            The same kind of image, `scale` times larger. Pillow modes other than L, RGB and RGBA
            become the nearest of these, grey of 16 bits I;16.

        Raises:
            DataError: an array of another type or shape, an image smaller than `min_size`, a
                `memory` that no window fits into, or a Pillow image of floating-point pixels.
            ModelError: the model cannot be run, e.g. for lack of memory.
        """
        if isinstance(image, Image.Image):
            return self._picture(image, on_tile)
        return self._array(image, on_tile)

    def _picture(self, image: Image.Image, on_tile: OnTile) -> Image.Image:
        path = Path(getattr(image, "filename", "") or "image")
        picture = decode.prepare(image, path)
        if picture.deep and not (self.takes_16_bits and picture.mode == "L"):
            console.warn(f"{path}: 16 bits are reduced to 8")  # Pillow holds 16 in grey alone
            picture = picture.shallow()
        result = Image.fromarray(self._array(picture.pixels, on_tile))
        result.info = picture.metadata.info()
        return result

    def _array(self, image: Pixels, on_tile: OnTile) -> Pixels:
        bands = self.bands(image, self.windows(image), on_tile)
        height, width = (self.scale * side for side in image.shape[:2])
        sr, top = np.empty((height, width, *image.shape[2:]), image.dtype), 0
        for band in bands:
            sr[top : top + len(band)] = band
            top += len(band)
        return sr

    def choose(self, width: int, height: int) -> tuple[Upscaler, tuple[int, int]]:
        """What enlarges a picture of `width` x `height`, and to which size; see `inference.sized`
        for another size than the model's own."""
        return self, (self.scale * width, self.scale * height)

    def windows(self, image: Pixels, *, held: int = 0) -> Windows:
        """In which windows the model will see an image; up to 128 x 128 pixels always in one.

        Args:
            image: see `__call__`.
            held: bytes of `memory` that the caller takes for the result.

        Raises:
            DataError: see `__call__`.
        """
        _check(image, self.min_size, self.takes_16_bits)
        image = padding.wrapped(image, self._margin)
        size = self._padded_size(image)
        if self.tileable and self.tile != "auto":
            tile = padding.rounded_up(self.tile, self.multiple, self.min_size)
            return budgets.cut_by_tile(size, self.halo, tile)
        if max(size) <= budgets.PROBE:
            return budgets.cut(size, self.halo, self.min_size, (1, 1))
        need = self._need(image, held)
        if not self.tileable:
            return budgets.whole(size, need, self.budget)
        found = budgets.fit(size, self.halo, self.min_size, need, self.budget)
        return budgets.aligned(found, size, self.halo, self.multiple)

    def _padded_size(self, image: Pixels) -> tuple[int, int]:
        height, width = (padding.rounded_up(side, self.multiple) for side in image.shape[:2])
        return height, width

    def _need(self, image: Pixels, held: int) -> budgets.Need:
        height, width = image.shape[:2]
        channels = image.shape[2] if image.ndim == 3 else 1
        bands = budgets.BANDS * channels * image.itemsize
        below = 0
        if channels == 4:
            bands, below = bands + alpha.FLOATS, alpha.HELD * height * width
        return budgets.Need(
            held=self._held + image.nbytes + held + below,
            # It was measured on bytes.
            pixel=self._model.bytes_per_pixel + 3 * self.scale**2 * (image.itemsize - 1),
            row=self.scale**2 * width * bands,
        )

    def bands(self, image: Pixels, windows: Windows, on_tile: OnTile = ignore) -> Iterator[Pixels]:
        """Enlarge an array as a call does, and give the result from top to bottom as it comes.

        Args:
            image, on_tile: see `__call__`.
            windows: of this image, from `windows`.

        Returns:
            Bands (rows, scale * W, ...) that make up what a call returns.

        Raises:
            ModelError: see `__call__`.
        """
        if windows.count > 1 and self._windows is not None and windows.sides != self._windows.sides:
            self._model.reopen()
        self._windows = windows
        if not self._margin:
            return self._bands(image, windows, on_tile)
        beyond = self._bands(padding.wrapped(image, self._margin), windows, on_tile)
        height, width = (self.scale * side for side in image.shape[:2])
        return tiling.cropped(beyond, height, width, self.scale * self._margin)

    def _bands(self, image: Pixels, windows: Windows, on_tile: OnTile) -> Iterator[Pixels]:
        run = self._model.grey if image.ndim == 2 else self._model
        transparent = image.ndim == 3 and image.shape[2] == 4
        colours = image[..., None] if image.ndim == 2 else image
        if transparent:
            colours = alpha.extended(image)
        large = padding.padded(colours, (0, 1), self.multiple)
        bands = tiling.bands(
            run, large, scale=self.scale, sides=windows.sides, halo=self.halo, on_tile=on_tile
        )
        if large is not colours:
            height, width = (self.scale * side for side in image.shape[:2])
            bands = tiling.cropped(bands, height, width)
        if image.ndim == 2:
            return (band[..., 0] for band in bands)
        return alpha.beside(bands, image[..., 3], self.scale) if transparent else bands


def parse_tile(text: str) -> int | Literal["auto"]:
    """The `tile` that a user wrote.

    Raises:
        DataError: it is neither auto nor a number.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise DataError(f"tile = {text}: expected auto, or at least 1 LR pixel")
    return int(text)


def _check(image: Pixels, smallest: int, takes_16_bits: bool) -> None:
    kind = type(image).__name__
    if isinstance(image, np.ndarray):
        known = image.dtype == np.uint8 or (image.dtype == np.uint16 and takes_16_bits)
        if known and (image.ndim == 2 or image.shape[2:] in ((3,), (4,))):
            if min(image.shape[:2]) >= smallest:
                return
            height, width = image.shape[:2]
            raise DataError(f"an image of {width} x {height}: expected at least {smallest} a side")
        kind = f"{image.dtype} {image.shape}"
    raise DataError(
        f"an image of {kind}: expected uint8 (H, W), (H, W, 3) or (H, W, 4)"
        + (", or uint16 likewise" if takes_16_bits else ""),
        "Of values in 0..1: (255 * image).round().astype('uint8').",
    )
