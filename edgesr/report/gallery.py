"""Every picture that quality was measured on, worst first, where the student is furthest off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesr import console
from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.run import TaughtBy
from edgesr.data import judges, photos
from edgesr.data.degrade import enlarge, pair
from edgesr.data.judges import PHOTOGRAPHS
from edgesr.errors import EdgesrError, ModelError
from edgesr.metrics import psnr
from edgesr.quality.evaluate import MIN_SIDE, Method
from edgesr.recipe import io as recipe_io
from edgesr.report.bundles import Bundle
from edgesr.report.pictures import TRUTH, Picture, data_uri, opened, worst
from edgesr.workspace import WEIGHTS, Workspace, sha256

Pixels = NDArray[np.uint8]

MOST = 16
"""Pictures on the page; what is left out is better than any of them."""
SIDE = 96
"""Of a crop, in HR pixels."""


@dataclass(frozen=True)
class Source:
    """Where the pictures come from; `note` where it is not where verify took them from."""

    name: str
    files: list[Path]
    note: str = ""


@dataclass(frozen=True)
class Shot:
    """One picture's crop, `side` HR pixels square at (`left`, `top`), and its scores as a whole.

    Attributes:
        width, height: of the picture in HR pixels.
        gain_db: PSNR less bicubic's.
        scores: PSNR on Y in dB of each method but the ground truth.
        pictures: the crop by each method, not enlarged, with the square's own PSNR.
    """

    photo: str
    width: int
    height: int
    left: int
    top: int
    side: int
    gain_db: float
    scores: dict[str, float]
    pictures: list[Picture]


@dataclass(frozen=True)
class Gallery:
    """The shots, smallest gain over bicubic first; `of` is how many pictures there are.

    Attributes:
        against: what the crops show the largest difference from: `teacher` or `ground truth`.
    """

    source: Source
    of: int
    against: str
    shots: list[Shot]


def gallery(bundle: Bundle, teacher: Path | None, data: Path | None = None) -> Gallery | None:
    """Rebuild every picture but the one that the page shows anyway; show those that gain least over
    bicubic.

    Args:
        teacher: its teacher's bundle or model file; None shows the bundle's network
            where it is furthest from the ground truth.
        data: see `source_of`.

    Returns:
        None where the bundle has no model.onnx, or there is no further picture.

    Raises:
        EdgesrError: a model that cannot be opened, or no picture that can be used.
    """
    if not bundle.has_model:
        return None
    label, source = bundle.label, source_of(bundle.verify, data)
    further = [path for path in source.files if not _is_shown(path)]
    if not further:
        return None
    student = opened(bundle.folder)
    ranked = _ranked(further, student)
    methods = {"bicubic": Method(student.scale, partial(enlarge, scale=student.scale))}
    methods |= {"teacher": opened(teacher)} if teacher else {}
    methods[label] = student
    chosen = ranked[:MOST]
    shots = [
        shot(path.stem, photos.decode(path), methods, label)
        for path in console.track(chosen, "crops", len(chosen))
    ]
    return Gallery(source, len(ranked), "teacher" if teacher else TRUTH, shots)


def _is_shown(path: Path) -> bool:
    """Whether it is the embedded photograph, which `report.pictures` shows whole."""
    embedded = photos.embedded().validation[0]
    return path == embedded or (path.name == embedded.name and sha256(path) == sha256(embedded))


def _ranked(files: list[Path], method: Method) -> list[Path]:
    """The files that can be used, that with the smallest gain over bicubic first."""
    gains = []
    tracked = console.track(files, "gallery", len(files))
    for photo in photos.decode_all(tracked, smallest=MIN_SIDE):
        scale = method.scale
        hr, lr = pair(photo.pixels, scale)
        own, bicubic = (psnr(sr, hr, scale) for sr in (method(lr), enlarge(lr, scale)))
        gains.append((gain(own, bicubic), photo.path))
    return [path for _, path in sorted(gains)]


def source_of(verify: Evidence | None, data: Path | None = None) -> Source:
    """The pictures that verify measured quality on, those that ship where they are not there.

    Args:
        data: the folder that the user names. No other is opened, whatever the evidence says, and
            of the pictures in it only those whose digests the evidence holds are shown.
    """
    shipped = Source(PHOTOGRAPHS, judges.photographs())
    if verify is None or (data is None and verify.quality[0].data == PHOTOGRAPHS):
        return shipped
    if data is None:
        missing = "Name the folder of the pictures that verify measured on: edgesr report --data."
        return replace(shipped, note=missing)
    wanted = {p.sha256 for row in verify.quality for p in row.pictures}
    found = photos.decode_all(photos.find(data), smallest=MIN_SIDE)
    files = {photos.digest(p.pixels): p.path for p in found}
    if known := [path for digest, path in files.items() if digest in wanted]:
        return Source(data.resolve().name, sorted(known))
    none = f"None of the pictures that verify measured on is in the folder {data.resolve().name}."
    return replace(shipped, note=none)


def teacher_file(
    bundle: Bundle, teacher: Bundle | None, named: Path | None, workspace: Workspace
) -> Path | None:
    """The teacher as it can be run here: its bundle, the file that the user names, or one that is
    at hand: of the teacher's run, or where the user's own run or recipe of the bundle's name says.

    What a received file names is not looked at; a file is the teacher where its SHA-256 is the one
    that run.json states.

    Raises:
        ModelError: `named` is another network.
    """
    if bundle.card.teacher is None:
        return None
    if teacher is not None and teacher.has_model:
        return teacher.folder
    taught_by = bundle.run and bundle.run.teacher
    if named is None:
        at_hand = _at_hand(bundle, workspace) if taught_by else []
        return next((path for path in at_hand if taught_by and _is_file(path, taught_by)), None)
    if not taught_by or not _is_file(named, taught_by):
        raise ModelError(f"{named} is not the file that taught {bundle.card.name}")
    return named


def _is_file(path: Path, taught_by: TaughtBy) -> bool:
    return path.is_file() and sha256(path) == taught_by.sha256


def _at_hand(bundle: Bundle, workspace: Workspace) -> Iterator[Path]:
    """Where the teacher's file may lie in the user's own workspace."""
    name, taught = bundle.card.name, bundle.card.teacher
    if taught:
        yield workspace.run(taught.name) / WEIGHTS[0]
    for recipe in (workspace.run(name) / "recipe.toml", workspace.root / f"recipes/{name}.toml"):
        with suppress(EdgesrError):
            if recipe.is_file() and (found := recipe_io.load(recipe).teacher):
                yield workspace.find_weights(found.path)


def gain(own: float, bicubic: float) -> float:
    """In dB; 0 where both are infinite, as on a flat picture."""
    return 0.0 if own == bicubic else own - bicubic


def shot(name: str, pixels: Pixels, methods: dict[str, Method], own: str) -> Shot:
    """The square, on the grid of LR pixels, where `own` is furthest from its teacher.

    Args:
        methods: names in the order of showing -> what enlarges. Without a `teacher` beside `own`
            the square is where `own` is furthest from the ground truth.
    """
    scale = methods[own].scale
    hr, lr = pair(pixels, scale)
    rebuilt = {name: method(lr) for name, method in methods.items()} | {TRUTH: hr}
    side = min(SIDE, *hr.shape[:2])
    model = rebuilt["teacher"] if "teacher" in rebuilt and own != "teacher" else hr
    ((left, top),) = worst(rebuilt[own], model, side, count=1, grid=scale)
    cut = {n: p[top : top + side, left : left + side] for n, p in rebuilt.items()}
    shown = [
        Picture(n, data_uri(square), None if n == TRUTH else psnr(square, cut[TRUTH], 0))
        for n, square in cut.items()
    ]
    scores = {n: psnr(p, hr, scale) for n, p in rebuilt.items() if n != TRUTH}
    better = gain(scores[own], scores["bicubic"])
    return Shot(name, hr.shape[1], hr.shape[0], left, top, side, better, scores, shown)
