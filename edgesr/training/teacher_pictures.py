"""A folder of ready pictures in a teacher's place, made by any other program."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edgesr import console
from edgesr.bundle.records.run import TaughtBy
from edgesr.data import cached, pairs, photos
from edgesr.data.patches import PatchCache
from edgesr.errors import DataError
from edgesr.models import zoo
from edgesr.recipe import Recipe
from edgesr.workspace import cache_dir, sha256


@dataclass(frozen=True)
class Pictures:
    """Ready pictures, by the photographs that they are of.

    Attributes:
        digest: changes with the content of any, and with which photograph it is of.
    """

    folder: Path
    of: dict[Path, Path]
    digest: str

    def facts(self) -> TaughtBy:
        """What a run's record says of them."""
        name = zoo.label(self.folder / "model")
        return TaughtBy(name=name, sha256=self.digest, architecture="ready pictures")


def find_pictures(recipe: Recipe, photographs: Sequence[Path]) -> Pictures | None:
    """The recipe's ready pictures of `photographs`, which train; None where a network teaches.

    Raises:
        DataError: the folder is missing, a photograph has no picture or two, or two photographs
            have one name.
    """
    if recipe.teacher is None or not recipe.teacher.pictures:
        return None
    folder = Path(recipe.teacher.pictures).expanduser()
    files = photos.find(folder, "Name the folder of the teacher's pictures: teacher.pictures.")
    of = pairs.match(
        photographs,
        files,
        recipe.model.scale,
        what="picture",
        folder=folder,
        remedy="Have the other program enlarge every photograph, reduced.",
    )
    if unused := len(files) - len(of):
        console.say(f"{unused} pictures in {folder} are of no photograph that trains: not used")
    sums = "\n".join(f"{sha256(path)} {sha256(picture)}" for path, picture in of.items())
    return Pictures(folder, of, hashlib.sha256(sums.encode()).hexdigest())


def picture_targets(cache: PatchCache, pictures: Pictures) -> Tensor:
    """The pictures of the photographs in `cache`, as `teacher_targets` has a network's; of each
    variant of a photograph the same.

    Raises:
        DataError: one has another size than its photograph, or the disk has no room for them.
    """
    facts = f"{cache.key} {cache.sizes.tolist()} {pictures.digest}"
    name = hashlib.sha256(facts.encode()).hexdigest()[:32]
    path = cache_dir() / "teacher-targets" / f"{name}.bin"
    size = 3 * cache.scale**2 * cache.variants * int(cache.sizes.prod(1).sum())
    with cached.alone(path):
        if cached.read(path) is None:
            cached.check_room(path.parent, size, "the teacher's pictures")
            with cached.writing(path, {"teacher": pictures.digest}) as append:
                for pixels in _decoded(cache, pictures):
                    append(pixels.tobytes() * cache.variants)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(-1, 3)


def _decoded(cache: PatchCache, pictures: Pictures) -> Iterator[photos.Pixels]:
    """The picture of each photograph in the cache; what HR lacks of its file at the right and at
    the bottom is cut off the picture too."""
    scale = cache.scale
    tracked = console.track(cache.files, "the teacher's pictures", len(cache.files))
    for photograph, (height, width) in zip(tracked, cache.sizes.tolist(), strict=True):
        path = pictures.of[photograph]
        pixels = photos.decode(path)
        rows, columns = pixels.shape[:2]
        if (rows // scale, columns // scale) != (height, width):
            raise DataError(
                f"{path} has {columns} x {rows} pixels, its photograph {photograph} "
                f"{scale * width} x {scale * height}",
                f"Have the other program enlarge the photographs, reduced {scale} times.",
            )
        yield pixels[: scale * height, : scale * width]
