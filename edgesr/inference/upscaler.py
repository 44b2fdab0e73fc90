"""An exported model behind one call: image in, a larger image out.

    import edgesr
    big = edgesr.upscale(image)                     # edge-s, once
    with edgesr.Upscaler("exports/n4") as upscaler:  # any model, many images
        big = upscaler(image)

Imports no torch and prints nothing: what is worth saying goes to the logger "edgesr".
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, cast, get_args

import numpy as np

from edgesr import shipped
from edgesr.errors import DataError, ModelError, VerifyError
from edgesr.inference import alpha, padding, seen, tiling
from edgesr.inference import memory as budgets
from edgesr.inference.memory import Windows
from edgesr.inference.model import Model, Opened
from edgesr.inference.planning import Planner, Tile, check_tile
from edgesr.inference.seen import Picture
from edgesr.inference.session import EXACT, CudaSettings, Provider, Runtime
from edgesr.inference.tiling import OnTile, Pixels, ignore
from edgesr.variant import file_of

UNMEASURED = 256
"""The tile on CUDA, in LR pixels: how much of a GPU's memory a window takes is not measured."""


class Upscaler:
    """Enlarges images with a bundle or an ONNX file that edgesr exported.

    Several threads may call one instance at once, with images of any sizes; each image has the
    memory of a call then, and what a window takes is measured by the first large one, so let one
    thread enlarge that. A pickle holds the path and the arguments: a process that loads it opens
    the file again. `with`, or `close`, frees the model.

    Args:
        path: a bundle's folder, or one of its model files; or a bundle's name, in ./exports or of
            those that come along (`edgesr models`).
        variant: of the bundle, as its card names them: fp32, int8, uint8-io, fp32-256x256, ...
        runtime: "onnxruntime", or "openvino" (`edgesr[openvino]`) for the CPU, often the faster
            one on Intel's.
        threads: of the CPU; None leaves it to the runtime.
        provider: of ONNX Runtime, "cpu" or "cuda"; None takes CUDA where it works.
        tile: side, in LR pixels, of what a window contributes to the image; it does not change the
            result. "auto" chooses windows that fit into `memory`; on CUDA it is 256. A file that
            takes windows of one size alone has those.
        memory: what the process may hold, e.g. "512MB" or "1.5GiB": all that it held when the
            model was opened, the image, and the work on it. The result of a call comes on top.
            None allows 512MB more than it held.
        wrap: whether images are textures that tile: beyond each edge the model sees the opposite
            one, so that the result tiles as well.
        exact: compute float32 in float32. False lets OpenVINO take bfloat16 where the processor
            has it, which is another function: `edgesr benchmark` says how far it is off.
        cuda: how a GPU is used: its memory, TF32, the search for algorithms.

    Attributes:
        file: the model file.
        scale: how many times larger the result is.
        halo: radius of the model's receptive field, in LR pixels.
        min_size: the shortest side that the model takes, in LR pixels.
        multiple: of which the sides are that the model takes; others are mirrored up to the next.
        tileable: whether large images are cut; else the model sees the whole image, and
            `memory` bounds what it takes.
        colours: channels that the model takes: 3 of RGB; 1 of Y, see `inference.luma`.
        on_cpu: whether no GPU runs it.
        takes_16_bits: whether uint16 is enlarged as such: by every variant that takes floats.
        window: width and height in LR pixels of the one size that the file takes, in which every
            image is cut, smaller ones mirrored up to it; None where it takes any size.

    Raises:
        ModelError: no such file, none of edgesr's, or one that does not keep to its metadata.
        MissingPackage: the runtime is not installed; says how it is.
        VerifyError: the runtime or the provider that was asked for is unknown, does not work here,
            or does not know what was asked of it.
        DataError: a tile, or a number of threads, below one, or a memory that is not an amount; a
            tile where the file takes one size alone; or `wrap` where the model decides each pixel
            by the whole image.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        variant: str = "fp32",
        runtime: Runtime = "onnxruntime",
        threads: int | None = None,
        provider: str | None = None,
        tile: Tile = "auto",
        memory: str | None = None,
        wrap: bool = False,
        exact: bool = True,
        cuda: CudaSettings = EXACT,
    ) -> None:
        check_tile(tile)
        if threads is not None and threads < 1:
            raise DataError(f"threads = {threads}: expected at least 1")
        _check_runtime(runtime, provider, exact)
        requested = budgets.parse(memory or budgets.BUDGET)
        file = shipped.find(Path(path))
        if file.is_dir():
            file /= file_of(variant)
        self.file = file
        self._arguments: dict[str, Any] = {"threads": threads, "provider": provider, "tile": tile}
        self._arguments |= {"memory": memory, "wrap": wrap, "cuda": cuda}
        self._arguments |= {"runtime": runtime, "exact": exact}
        model = Model(
            file,
            runtime=runtime,
            provider=cast("Provider | None", provider),
            threads=threads,
            exact=exact,
            cuda=cuda,
        )
        contract = model.contract
        self.scale, self.halo, self.min_size = contract.scale, contract.halo, contract.min_size
        self.multiple, self.tileable = contract.multiple, contract.tileable
        self.colours, self.on_cpu = contract.colours, model.on_cpu
        self.takes_16_bits = not contract.takes_bytes
        self.window = contract.window and (contract.window[1], contract.window[0])
        if self.window and tile != "auto":
            width, height = self.window
            raise DataError(f"tile = {tile}: {file.name} takes windows of {width} x {height} alone")
        if wrap and not self.tileable:
            raise DataError(f"{file} sees the whole image: what lies beyond an edge has no end")
        margin = padding.rounded_up(max(self.halo, alpha.REACH), self.multiple) if wrap else 0
        self.tile = tile if tile != "auto" or model.on_cpu else UNMEASURED
        held = budgets.resident()
        self.budget = requested if memory else held + requested
        self._planner = Planner(contract, self.tile, margin, held, self.budget, self._measure)
        self._lock = threading.Lock()
        self._model: Model | None = model
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
            ModelError: the model cannot be run, e.g. for lack of memory; or `close` was called.
        """
        pixels, finish = seen.unpacked(image, self.takes_16_bits)
        return finish(self._array(pixels, on_tile))

    def batch(self, images: Sequence[Picture]) -> list[Picture]:
        """Enlarge several images: what a call gives of each, in their order.

        Those of the same size and kind go through the model together, as many in one run as
        `memory` holds, where each fits into one window and the file takes batches.

        Args:
            images: see `__call__`; an array (N, H, W, 3) is such a sequence too.

        Raises:
            DataError, ModelError: see `__call__`.
        """
        unpacked = [seen.unpacked(image, self.takes_16_bits) for image in images]
        alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for place, (pixels, _) in enumerate(unpacked):
            seen.check(pixels, self.min_size, self.takes_16_bits)
            alike[pixels.dtype, pixels.shape].append(place)
        large: dict[int, Pixels] = {}
        for places in alike.values():
            arrays = [unpacked[place][0] for place in places]
            large |= zip(places, self._arrays(arrays), strict=True)
        return [finish(large[place]) for place, (_, finish) in enumerate(unpacked)]

    def close(self) -> None:
        """Free the model; calls in other threads end as they would. A call after it is an error."""
        with self._lock:
            self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Upscaler], tuple[Path]]:
        """A pickle names the file and the arguments: whoever loads it opens the file again."""
        self._alive()
        return partial(type(self), **self._arguments), (self.file.absolute(),)

    def _alive(self) -> Model:
        """The model, in which a call looks up all that it uses once."""
        if (model := self._model) is None:
            raise ModelError(
                f"the upscaler of {self.file} is closed", "Open another: edgesr.Upscaler(...)"
            )
        return model

    def _measure(self) -> float:
        return self._alive().bytes_per_pixel

    def _array(self, image: Pixels, on_tile: OnTile = ignore) -> Pixels:
        bands = self.bands(image, self.windows(image), on_tile)
        height, width = (self.scale * side for side in image.shape[:2])
        sr, top = np.empty((height, width, *image.shape[2:]), image.dtype), 0
        for band in bands:
            sr[top : top + len(band)] = band
            top += len(band)
        return sr

    def _arrays(self, images: list[Pixels]) -> Iterator[Pixels]:
        """Arrays of one type and shape, enlarged."""
        windows = self.windows(images[0])
        together = self._planner.together(images[0], windows, len(images))
        if together == 1:
            yield from map(self._array, images)
            return
        for start in range(0, len(images), together):
            beyond = [
                padding.wrapped(i, self._planner.margin) for i in images[start : start + together]
            ]
            lr = np.stack([seen.colours(each, *self._planner.sides) for each in beyond])
            for sr, each in zip(self._opened(windows).batch(lr), beyond, strict=True):
                (whole,) = seen.finished(
                    iter([sr]), each, scale=self.scale, margin=self._planner.margin
                )
                yield whole

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
        seen.check(image, self.min_size, self.takes_16_bits)
        return self._planner.windows(image, held)

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
        beyond = padding.wrapped(image, self._planner.margin)
        bands = tiling.bands(
            self._opened(windows),
            seen.colours(beyond, *self._planner.sides),
            scale=self.scale,
            sides=windows.sides,
            halo=self.halo,
            on_tile=on_tile,
        )
        return seen.finished(bands, beyond, scale=self.scale, margin=self._planner.margin)

    def _opened(self, windows: Windows) -> Opened:
        """The session for an image that is cut so: an image goes through one from end to end,
        though another thread's opens the next."""
        with self._lock:
            model, before = self._alive(), self._windows
            if windows.count > 1 and before is not None and windows.sides != before.sides:
                model.reopen()
            self._windows = windows
            return model.opened


def upscale(image: Picture, model: str | Path = "edge-s") -> Picture:
    """Enlarge one image, `Upscaler(model)(image)`: the model is opened and closed again, so for
    several images, or with options, open an `Upscaler`.

    Args:
        image: see `Upscaler.__call__`.
        model: see `Upscaler`.

    Raises:
        DataError, ModelError: see there.
    """
    with Upscaler(model) as upscaler:
        return upscaler(image)


def _check_runtime(runtime: str, provider: str | None, exact: bool) -> None:
    if runtime not in get_args(Runtime):
        raise VerifyError(f"runtime {runtime!r}: expected {' or '.join(get_args(Runtime))}")
    if provider not in ("cpu", "cuda", None):
        raise VerifyError(f"provider {provider!r}: expected cpu or cuda")
    if runtime == "openvino" and provider == "cuda":
        raise VerifyError("provider 'cuda' is ONNX Runtime's: OpenVINO runs on the CPU here")
    if runtime != "openvino" and not exact:
        raise VerifyError(
            "exact = False is for the runtime openvino",
            "On a GPU: cuda=CudaSettings(tf32=True).",
        )
