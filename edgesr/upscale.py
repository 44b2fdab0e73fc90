"""An exported model behind one call: image in, image four times larger out.

    import edgesr
    big = edgesr.Upscaler("exports/n4")(image)

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgesr import console, imagefile
from edgesr.deploy.session import Provider, open_session
from edgesr.deploy.tiling import Pixels, upscale_tiled
from edgesr.errors import DataError, EdgesrError, ModelError

Picture = TypeVar("Picture", Pixels, Image.Image)
OnTile = Callable[[int, int], None]


def _ignore(_done: int, _total: int) -> None:
    pass


class Upscaler:
    """Enlarges images with a bundle or an ONNX file that edgesr exported.

    Args:
        path: a bundle's folder, or its model.onnx.
        threads: of the CPU; None leaves it to ONNX Runtime.
        provider: "cpu" or "cuda"; None takes CUDA where it works.
        tile: side of a tile in LR pixels; it bounds the memory and does not change the result.

    Raises:
        ModelError: no such file, or none of edgesr's.
        VerifyError: the provider that was asked for does not work here.
        DataError: a tile smaller than one pixel.
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
        if provider not in ("cpu", "cuda", None):
            raise ModelError(f"provider {provider!r}: expected cpu or cuda")
        file = Path(path) / "model.onnx" if Path(path).is_dir() else Path(path)
        self._session = open_session(file, provider=cast("Provider", provider), threads=threads)
        facts = self._session.get_modelmeta().custom_metadata_map
        if "edgesr.halo" not in facts:
            raise ModelError(f"{file} is no edgesr model: it carries no contract in its metadata")
        self.scale = int(facts["edgesr.scale"])
        self.halo = int(facts["edgesr.halo"])
        self.tile = tile

    def __call__(self, image: Picture, on_tile: OnTile = _ignore) -> Picture:
        """Enlarge one image.

        Args:
            image: uint8 (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey; or a Pillow image, which is
                turned as its EXIF says and keeps its ICC profile. Alpha is enlarged by bicubic.
            on_tile: called after each tile with how many are done, of how many.

        Returns:
            The same kind of image, `scale` times larger.

        Raises:
            DataError: an array of another type or shape.
        """
        if isinstance(image, Image.Image):
            return self._picture(image, on_tile)
        return self._array(image, on_tile)

    def _picture(self, image: Image.Image, on_tile: OnTile) -> Image.Image:
        upright = imagefile.to_eight_bit(ImageOps.exif_transpose(image))
        result = Image.fromarray(self._array(np.asarray(upright), on_tile))
        if profile := image.info.get("icc_profile"):
            result.info["icc_profile"] = profile
        return result

    def _array(self, image: Pixels, on_tile: OnTile) -> Pixels:
        if image.dtype != np.uint8 or not (
            image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
        ):
            raise DataError(
                f"an image of {image.dtype} {image.shape}: expected uint8 (H, W), (H, W, 3) or "
                "(H, W, 4)",
                "Scale values to 0..255 and convert: (255 * image).round().astype('uint8').",
            )
        if image.ndim == 2:
            grey = np.repeat(image[..., None], 3, axis=2)
            return self._luma(self._rgb(grey, on_tile))
        rgb = self._rgb(image[..., :3], on_tile)
        if image.shape[2] == 3:
            return rgb
        height, width = rgb.shape[:2]
        alpha = Image.fromarray(np.ascontiguousarray(image[..., 3]))
        large = alpha.resize((width, height), Image.Resampling.BICUBIC)
        return np.dstack([rgb, np.asarray(large)])

    def _luma(self, rgb: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(rgb).convert("L"))

    def _rgb(self, lr: Pixels, on_tile: OnTile) -> Pixels:
        return upscale_tiled(
            self._run, lr, scale=self.scale, tile=self.tile, halo=self.halo, on_tile=on_tile
        )

    def _run(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        sr: NDArray[np.float32] = self._session.run(["sr"], {"lr": lr})[0]
        return sr


@dataclass(frozen=True)
class Summary:
    """What became of a folder: images enlarged, and why the others were not."""

    done: int
    failed: dict[Path, str]


def upscale_file(upscaler: Upscaler, source: Path, target: Path, *, quality: int = 95) -> None:
    """Enlarge the image file `source` into `target`; the suffix names the format.

    Args:
        quality: of JPEG and WebP, 1..100.

    Raises:
        DataError: the source cannot be read, or the target's format is not PNG, JPEG or WebP.
    """
    imagefile.check_target(source, target)
    image = imagefile.read(source)
    with console.bar(source.name, 1) as bar:

        def show(done: int, total: int) -> None:
            bar.resize(total)
            bar.advance(done - bar.done, "tiles")

        result = upscaler(image, show)
    imagefile.write(result, target, quality=quality)


def upscale_folder(upscaler: Upscaler, source: Path, target: Path, *, quality: int = 95) -> Summary:
    """Enlarge every image under `source` into the same place under `target`.

    Names are kept; a format that is not written becomes PNG. One bad file does not stop the rest.

    Raises:
        DataError: there is no image in `source`, or `target` lies inside it.
    """
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target} lies inside {source}", "Give a folder outside it.")
    jobs, taken, failed = imagefile.plan(source, target), set[Path](), dict[Path, str]()
    with console.bar(str(source), len(jobs)) as bar:
        for path, written in jobs.items():
            try:
                if written in taken:
                    raise DataError(f"{written} was written for another image of that name")
                image = imagefile.read(path)
                imagefile.write(upscaler(image), written, quality=quality)
                taken.add(written)
            except (EdgesrError, OSError) as error:
                failed[path] = str(error)
            bar.advance(1, path.name)
    return Summary(len(taken), failed)
