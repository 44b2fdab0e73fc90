"""Training patches: photographs decoded once into a file of bytes, cropped and turned at random."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgesr import console
from edgesr.data import cached, crops, decoding, photos
from edgesr.data.degrade import BICUBIC
from edgesr.errors import DataError
from edgesr.recipe import Degradation
from edgesr.workspace import cache_dir

WHOLE = 2**31
"""A region that is larger than any photograph."""
REMEMBERED = 64
"""Batches whose photographs a sampler can name."""


@dataclass(frozen=True)
class PatchCache:
    """Photographs as pairs of HR and LR pixels in one memory-mapped file.

    The LR image is made of the whole photograph, so that a patch has the same neighbours as in
    evaluation.

    Attributes:
        key: changes with the content of the photographs, the scale and the degradation.
        scale: how many times larger HR is.
        data: uint8 (pixels, 3) RGB; of each photograph all HR pixels row by row, then those of its
            LR variants.
        files: the photographs that are large enough for a patch, and the drawn pages.
        sizes: int64 (len(files), 2): height and width at LR.
        offsets: int64 (len(files), 2): where HR and the first LR begin in `data`.
        variants: how many LR pictures there are of each photograph.
        region: side in LR pixels of what is degraded alike, see `edgesr.data.regions`; a patch lies
            inside one.
    """

    key: str
    scale: int
    data: Tensor
    files: list[Path]
    sizes: Tensor
    offsets: Tensor
    variants: int = 1
    region: int = WHOLE

    @classmethod
    def open(
        cls,
        paths: Sequence[Path],
        *,
        patch: int,
        scale: int,
        degradation: Degradation = BICUBIC,
        seed: int = 0,
        lr: Mapping[Path, Path] | None = None,
    ) -> PatchCache:
        """Open the cache of `paths`, or decode them into a new one under the user's cache folder:
        where there is none, or its content is not what its sum states, which is said.

        Files that cannot be used, or are smaller than `patch` pixels either way, are left out with
        a warning each, whether the cache is new or not.

        Args:
            patch: side of an HR patch in pixels.
            seed: of what `degradation` draws.
            lr: the LR pictures of pairs, by their photographs.

        Raises:
            DataError: nothing usable is left, the disk has no room for it, or a pair does not fit.
        """
        own = lr or {}
        key = decoding.key(paths, scale, degradation, seed, own)
        path = cache_dir() / "patches" / f"{key}.bin"
        index = cached.read(path) or decoding.build(paths, path, scale, degradation, seed, own)
        return cls._of(index, key, paths, path, patch, scale, degradation)

    @classmethod
    def _of(
        cls,
        index: dict[str, Any],
        key: str,
        paths: Sequence[Path],
        path: Path,
        patch: int,
        scale: int,
        degradation: Degradation,
    ) -> PatchCache:
        for number, reason in index["left_out"]:
            photos.warn_left_out(paths[number], reason)
        paths = [*paths, *(Path(f"drawn page {n}") for n in range(index["drawn"]))]
        variants = decoding.variants(degradation)
        files, sizes, offsets, end = [], [], [], 0
        for number, height, width in index["photos"]:
            hr, lr = end, end + scale**2 * height * width
            end = lr + variants * height * width
            if scale * min(height, width) < patch:
                reason = photos.too_small(scale * width, scale * height, patch)
                photos.warn_left_out(paths[number], reason)
                continue
            files.append(paths[number])
            sizes.append((height, width))
            offsets.append((hr, lr))
        if not files:
            raise photos.nothing_usable(patch)
        # Not shared: a private mapping, so that nothing can be written to the file through it.
        data = torch.from_file(str(path), shared=False, size=3 * end, dtype=torch.uint8)
        places = torch.tensor(sizes), torch.tensor(offsets)
        side = region(degradation, scale)
        return cls(key, scale, data.view(-1, 3), files, *places, variants, side)

    def photographs(self, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """The first LR and HR of each or every so many-th photograph; float32 (1, 3, H, W) in
        0..1, and (1, 3, scale * H, scale * W)."""
        sizes, starts = self.sizes[::every].tolist(), self.offsets[::every].tolist()
        for (height, width), (hr_at, lr_at) in zip(sizes, starts, strict=True):
            large = self.scale * height, self.scale * width
            yield self._picture(lr_at, height, width), self._picture(hr_at, *large)

    def _picture(self, start: int, height: int, width: int) -> Tensor:
        pixels = self.data[start : start + height * width].view(1, height, width, 3)
        return pixels.permute(0, 3, 1, 2) / 255

    def lr_photographs(self) -> Iterator[Tensor]:
        """The LR variants of each photograph, in the order of `files`; float32 (1, 3, H, W) in
        0..1."""
        sizes, starts = self.sizes.tolist(), self.offsets[:, 1].tolist()
        for (height, width), start in zip(sizes, starts, strict=True):
            for variant in range(self.variants):
                yield self._picture(start + variant * height * width, height, width)


def region(degradation: Degradation, scale: int) -> int:
    """Side in LR pixels of what is degraded alike."""
    return degradation.region // scale if degradation.kind == "real" else WHOLE


class PatchSampler:
    """Random pairs of patches: photographs by their area, crops anywhere on the LR grid, each
    flipped and turned in one of eight ways.

    Every process draws the random numbers of the whole batch and cuts its own share, so that
    `world` processes together see what one would. On a GPU the pixels are copied there once and
    cropped there, unless they take more than half of its free memory. CUDA was not measured.

    Args:
        patch: side of an HR patch in pixels, a multiple of 4.
        batch: patches per step over all processes, a multiple of `world`.
        targets: the teacher's pictures of the photographs, which are then cut beside HR; see
            `training.teacher_targets`.
        rank: which of the `world` processes this one is.

    Raises:
        DataError: a photograph in the cache is smaller than `patch`.
    """

    def __init__(
        self,
        cache: PatchCache,
        *,
        patch: int,
        batch: int,
        seed: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
        targets: Tensor | None = None,
    ) -> None:
        smallest = cache.scale * int(cache.sizes.min())
        if smallest < patch:
            raise DataError(
                f"the patch cache holds photographs of {smallest} pixels, fewer than the patch's "
                f"{patch}",
                "Open it with the same patch.",
            )
        self.cache = cache
        self.patch = patch
        self.batch = batch
        self.device = torch.device(device)
        self.share = slice(rank * batch // world, (rank + 1) * batch // world)
        self.generator = torch.Generator().manual_seed(seed)
        self.data = _place(cache.data, self.device)
        self.targets = None if targets is None else _place(targets, self.device)
        areas = cache.sizes.prod(1)
        self._areas = areas.cumsum(0).double()
        self._targets_at = cache.scale**2 * cache.variants * (areas.cumsum(0) - areas)
        self._latest: deque[list[int]] = deque(maxlen=REMEMBERED)

    def next(self) -> tuple[Tensor, ...]:
        """LR (batch / world, 3, patch / scale, patch / scale), HR (batch / world, 3, patch, patch)
        and, of that shape, the teacher's picture where there is one; float32 RGB 0..1, on the
        device."""
        draw = torch.rand(self.batch, 4, generator=self.generator, dtype=torch.float64)
        which, top, left, turn = draw[self.share].unbind(1)
        photo = torch.searchsorted(self._areas, which * self._areas[-1], right=True)
        side = self.patch // self.cache.scale
        place = torch.stack([top, left], 1)
        corner = crops.corners(self.cache.sizes[photo], place, side, self.cache.region)
        way = (turn * 8).long()
        variant = ((turn * 8 - way) * self.cache.variants).long()
        height, width = self.cache.sizes[photo].unbind(1)
        hr_at, lr_at = self.cache.offsets[photo].unbind(1)
        before = variant * height * width  # LR pixels of the photograph's variants before this one
        self._latest.append(photo.tolist())
        crop = partial(crops.crop, device=self.device)
        lr = crop(self.data, lr_at + before, width, corner, side, way)
        large = (self.cache.scale * width, self.cache.scale * corner, self.patch, way)
        hr = crop(self.data, hr_at, *large)
        if self.targets is None:
            return lr, hr
        target_at = self._targets_at[photo] + self.cache.scale**2 * before
        return lr, hr, crop(self.targets, target_at, *large)

    def files(self, ago: int = 0) -> list[str]:
        """The photographs behind this process's share of the latest batch, in its order, or of one
        of the `REMEMBERED` before it."""
        return [str(self.cache.files[n]) for n in self._latest[-1 - ago]]

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to draw the same next batch, bit for bit."""
        return {"generator": self.generator.get_state(), "key": self.cache.key}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken; warns where the photographs are other ones."""
        if state["key"] != self.cache.key:
            console.warn("the photographs have changed since the checkpoint was written")
        self.generator.set_state(state["generator"])


def _place(data: Tensor, device: torch.device) -> Tensor:
    """`data` on the GPU where half of its free memory holds it; else where it is."""
    fits = device.type == "cuda" and data.nbytes <= torch.cuda.mem_get_info(device)[0] // 2
    return data.to(device) if fits else data
