"""An exported model behind one call: image in, image four times larger out.

    import edgesr
    big = edgesr.Upscaler("exports/n4")(image)

Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr import console, imagefile
from edgesr.data.photos import PhotoError
from edgesr.deploy.session import Provider, open_session
from edgesr.deploy.tiling import OnTile, Pixels, Run, ignore, upscale_tiled
from edgesr.errors import DataError, EdgesrError, ModelError, VerifyError

Picture = TypeVar("Picture", Pixels, Image.Image)
Values = NDArray[np.float32]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Of ITU-R BT.601, as Pillow and JPEG weigh R, G and B."""


class Upscaler:
    """Enlarges images with a bundle or an ONNX file that edgesr exported.

    Args:
        path: a bundle's folder, or its model.onnx.
        threads: of the CPU; None leaves it to ONNX Runtime.
        provider: "cpu" or "cuda"; None takes CUDA where it works.
        tile: side of a tile in LR pixels; it bounds the memory and does not change the result.

    Attributes:
        scale: how many times larger the result is.
        halo: radius of the model's receptive field, in LR pixels.
        min_size: the shortest side that the model takes, in LR pixels.

    Raises:
        ModelError: no such file, or none of edgesr's.
        VerifyError: the provider that was asked for is unknown or does not work here.
        DataError: a tile, or a number of threads, below one.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        provider: str | None = None,
        tile: int = 256,
    ) -> None:
        if tile < 1:
            raise DataError(f"tile = {tile}: expected at least 1 LR pixel")
        if threads is not None and threads < 1:
            raise DataError(f"threads = {threads}: expected at least 1")
        if provider not in ("cpu", "cuda", None):
            raise VerifyError(f"provider {provider!r}: expected cpu or cuda")
        file = Path(path) / "model.onnx" if Path(path).is_dir() else Path(path)
        self._session = open_session(file, provider=cast("Provider", provider), threads=threads)
        facts = self._session.get_modelmeta().custom_metadata_map
        self.scale, self.halo, self.min_size = _contract(facts, file)
        self.tile = max(tile, self.min_size)

    def __call__(self, image: Picture, on_tile: OnTile = ignore) -> Picture:
        """Enlarge one image.

        Args:
            image: uint8 (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey; or a Pillow image, which is
                turned as its EXIF says and keeps its ICC profile. Alpha is enlarged by bicubic.
            on_tile: called after each tile with how many are done, of how many.

        Returns:
            The same kind of image, `scale` times larger. Pillow modes other than L, RGB and RGBA
            become the nearest of these.

        Raises:
            DataError: an array of another type or shape, an image smaller than `min_size`, or a
                Pillow image of floating-point pixels.
            ModelError: the model cannot be run, e.g. for lack of memory.
        """
        if isinstance(image, Image.Image):
            return self._picture(image, on_tile)
        return self._array(image, on_tile)

    def _picture(self, image: Image.Image, on_tile: OnTile) -> Image.Image:
        plain = imagefile.prepare(image, Path(getattr(image, "filename", "") or "image"))
        result = Image.fromarray(self._array(np.asarray(plain), on_tile))
        result.info = plain.info
        return result

    def _array(self, image: Pixels, on_tile: OnTile) -> Pixels:
        _check(image, self.min_size)
        if image.ndim == 2:
            return self._tiled(self._run_grey, image[..., None], on_tile)[..., 0]
        if image.shape[2] == 3:
            return self._tiled(self._run, image, on_tile)
        height, width = (self.scale * side for side in image.shape[:2])
        sr = np.empty((height, width, 4), np.uint8)
        self._tiled(self._run, image[..., :3], on_tile, into=sr[..., :3])
        alpha = Image.fromarray(np.ascontiguousarray(image[..., 3]))
        sr[..., 3] = alpha.resize((width, height), Image.Resampling.BICUBIC)
        return sr

    def _tiled(self, run: Run, lr: Pixels, on_tile: OnTile, into: Pixels | None = None) -> Pixels:
        return upscale_tiled(
            run,
            lr,
            scale=self.scale,
            tile=self.tile,
            halo=self.halo,
            on_tile=on_tile,
            into=into,
        )

    def _run(self, lr: Values) -> Values:
        try:
            sr: Values = self._session.run(["sr"], {"lr": lr})[0]
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            raise ModelError(
                f"the model failed on a tile of {lr.shape[3]} x {lr.shape[2]} pixels: {error}",
                "Where memory ran out, try smaller tiles: --tile 128",
            ) from None
        return sr

    def _run_grey(self, lr: Values) -> Values:
        """(1, 1, h, w) -> (1, 1, scale * h, scale * w): the luma of what the model makes."""
        rgb = np.clip(self._run(np.repeat(lr, 3, axis=1)), 0, 1)
        red, green, blue = (rgb[:, i : i + 1] * LUMA[i] for i in range(3))
        luma: Values = red + green + blue
        return luma


def _contract(facts: dict[str, str], file: Path) -> tuple[int, int, int]:
    """Scale, halo and smallest side from the metadata of an ONNX file."""
    try:
        scale, halo, smallest = (int(facts[f"edgesr.{k}"]) for k in ("scale", "halo", "min_size"))
        values = facts["edgesr.range"]
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{file} is not an edgesr model: its metadata state no contract ({error})",
            "Export one: edgesr export --onnx",
        ) from None
    if values != "0..1":
        raise ModelError(f"{file} takes values of {values}, expected 0..1")
    return scale, halo, smallest


def _check(image: Pixels, smallest: int) -> None:
    kind = type(image).__name__
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2:] in ((3,), (4,))):
            if min(image.shape[:2]) >= smallest:
                return
            height, width = image.shape[:2]
            raise DataError(f"an image of {width} x {height}: expected at least {smallest} a side")
        kind = f"{image.dtype} {image.shape}"
    raise DataError(
        f"an image of {kind}: expected uint8 (H, W), (H, W, 3) or (H, W, 4)",
        "Of values in 0..1: (255 * image).round().astype('uint8').",
    )


@dataclass(frozen=True)
class Summary:
    """What became of a folder: how many images were enlarged, and why the others were not."""

    done: int
    failed: dict[Path, str]


def upscale_file(upscaler: Upscaler, source: Path, target: Path, *, quality: int = 95) -> None:
    """Enlarge the image file `source` into `target`; the suffix names the format.

    Args:
        quality: of JPEG and WebP, 1..100.

    Raises:
        DataError: the source cannot be read; the target's format is not PNG, JPEG or WebP, cannot
            hold the result, or is the source; the quality is out of range.
    """
    imagefile.check_quality(quality)
    imagefile.check_target(source, target)
    image = _read_for(upscaler, source, target)
    with console.bar(source.name, 1) as bar:

        def show(done: int, total: int) -> None:
            bar.resize(total)
            bar.advance(done - bar.done, "tiles")

        result = upscaler(image, show)
    imagefile.write(result, target, quality=quality)


def _read_for(upscaler: Upscaler, source: Path, target: Path) -> Image.Image:
    image = imagefile.read(source)
    imagefile.check_size(upscaler.scale * image.width, upscaler.scale * image.height, target)
    return image


def upscale_folder(upscaler: Upscaler, source: Path, target: Path, *, quality: int = 95) -> Summary:
    """Enlarge every image under `source` into the same place under `target`.

    Names are kept; a format that is not written becomes PNG. One bad file does not stop the rest.
    Of two images that would get the same name only the first is written.

    Args:
        quality: of JPEG and WebP, 1..100.

    Raises:
        DataError: there is no image in `source`, `target` lies inside it, or the quality is out
            of range.
    """
    imagefile.check_quality(quality)
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target} lies inside {source}", "Give a folder outside it.")
    jobs, failed = imagefile.plan(source, target), dict[Path, str]()
    # Where `source` lies inside `target`, a result may fall on an image that is still to be read.
    taken = {path.resolve() for path in jobs}
    with console.bar(str(source), len(jobs)) as bar:
        for path, written in jobs.items():
            try:
                if written.resolve() in taken:
                    raise DataError(f"{written} belongs to another image", "Rename one of them.")
                image = _read_for(upscaler, path, written)
                imagefile.write(upscaler(image), written, quality=quality)
                taken.add(written.resolve())
            except (EdgesrError, OSError, MemoryError) as error:
                failed[path] = error.reason if isinstance(error, PhotoError) else str(error)
            bar.advance(1, path.name)
    return Summary(len(jobs) - len(failed), failed)
