"""What is measured where: each model file of a bundle on each runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edgesr.bundle.records.card import Other, Variant, VariantName
from edgesr.bundle.records.rows import Unsupported as Refused
from edgesr.errors import Unsupported, VerifyError
from edgesr.inference.luma import by_luma
from edgesr.inference.padding import fitting, one_by_one
from edgesr.inference.tiling import to_bytes, to_values
from edgesr.inference.windows import in_windows
from edgesr.runtimes.base import LABELS, OWN_FILES, Facts, Name, Running, Values
from edgesr.runtimes.registry import load

Run = Callable[[Values], Values]
ASKABLE = ("onnxruntime", "openvino", "ncnn", "web", "litert", "executorch")
LOOSE = ("cuda", "openvino")
"""Runtimes whose defaults may compute float32 files in less than float32."""


@dataclass(frozen=True)
class Job:
    """One model file on one runtime.

    Attributes:
        variant: as in card.json.
        dtype: what the file takes and gives: float32, float16 or uint8.
        clipped: whether the file holds its output to 0..1.
        exact: float32 files in float32; False for the runtime as it comes.
        sizes: of which the sides are multiples that the file takes, and their least.
        single: whether it takes one picture at a time.
        window: height and width of the one size that the file takes; None where it takes any.
        halo: of the network, in LR pixels.
        largest: LR pixels of the longest side that the file takes; None where it takes any.
        colours: channels that the file takes: 3 of RGB, 1 of Y.
    """

    runtime: Name
    variant: VariantName
    file: Path
    dtype: str
    threads: int
    clipped: bool = False
    exact: bool = True
    sizes: tuple[int, int] = (1, 1)
    single: bool = False
    window: tuple[int, int] | None = None
    halo: int = 0
    largest: int | None = None
    colours: int = 3

    @property
    def bytes_io(self) -> bool:
        """Whether the file takes and gives bytes."""
        return self.dtype == "uint8"

    def row(self) -> dict[str, Any]:
        """The keys that every row of evidence about this job begins with."""
        return {"runtime": self.runtime, "variant": self.variant, "exact": self.exact}

    @contextmanager
    def opened(self) -> Iterator[tuple[Run, Facts]]:
        """Pictures in, pictures out, float32 (B, 3, H, W) in 0..1 whatever the file takes.

        Raises:
            Unsupported: the runtime does not take the file, or on a run, the input.
        """
        with closing(self._open()) as running:
            run = bytes_run(running) if self.bytes_io else float_run(running, self.dtype)
            yield self._for_any_size(run), running.describe()

    def _for_any_size(self, run: Run) -> Run:
        if self.window:
            fitted = in_windows(run, (2, 3), self.window, self.halo, self.sizes[0])
        elif self.largest:
            fitted = self._up_to(run, self.largest)
        else:
            fitted = fitting(one_by_one(run) if self.single else run, (2, 3), *self.sizes)
        return by_luma(fitted, (2, 3)) if self.colours == 1 else fitted

    def _up_to(self, run: Run, largest: int) -> Run:
        """`run`, which takes pictures up to that size, for larger ones in windows."""

        def cut(lr: Values) -> Values:
            height, width = (min(side, largest) for side in lr.shape[2:])
            return in_windows(run, (2, 3), (height, width), self.halo, self.sizes[0])(lr)

        return cut

    def _open(self) -> Running:
        return load(self.runtime).open(self.file, threads=self.threads, exact=self.exact)


def float_run(running: Running, dtype: str = "float32") -> Run:
    """A file of floats of type `dtype`, as one of float32."""

    def run(lr: Values) -> Values:
        return np.asarray(running.run(lr.astype(dtype, copy=False))[0], np.float32)

    return run


def bytes_run(running: Running) -> Run:
    """A file of bytes as one of floats: values go in and come out as multiples of 1/255."""

    def run(lr: Values) -> Values:
        pixels, _ = running.run(np.ascontiguousarray(to_bytes(lr).transpose(0, 2, 3, 1)))
        return to_values(np.asarray(pixels, np.uint8))

    return run


def check_requested(requested: list[str]) -> list[Name]:
    """The runtimes beside ONNX Runtime that were asked for, each of them loaded once.

    Raises:
        VerifyError: an unknown one, or one that is not installed.
    """
    for name in requested:
        if name not in ASKABLE:
            raise VerifyError(f"--runtime {name}: expected one of {', '.join(ASKABLE)}")
    others: tuple[Name, ...] = ("openvino", "ncnn", "web", "litert", "executorch")
    found = [name for name in others if name in requested]
    for name in found:
        load(name)
    return found


def plan(
    folder: Path,
    variants: dict[VariantName, Variant],
    runtimes: list[Name],
    threads: int,
    unproved: Mapping[tuple[str, str], str] = MappingProxyType({}),
    sizes: tuple[int, int] = (1, 1),
    halo: int = 0,
    others: Sequence[Other] = (),
) -> tuple[list[Job], list[Refused]]:
    """Every job that a runtime takes, fp32 first, and a row for each of the others.

    Args:
        variants: as in card.json.
        unproved: runtime and variant of what would be measured under a provider's name and did not
            run there, and why.
        sizes, halo: see `Job`.
        others: the files of runtimes that open no ONNX.

    Raises:
        VerifyError: a runtime does not take fp32, or the bundle has no file for it.
    """
    jobs, refused = [], []
    for each in _all(folder, variants, others, runtimes, threads):
        job = replace(each, sizes=sizes, halo=halo)
        try:
            if reason := unproved.get((job.runtime, job.variant)):
                raise Unsupported(reason)
            with job.opened() as (_, facts):
                if job.exact or facts.precision != "float32":
                    jobs.append(job)
        except Unsupported as error:
            if job.variant == "fp32":
                raise VerifyError(
                    f"the runtime {job.runtime} does not take {job.file.name}: {error}"
                ) from None
            refused.append(Refused(runtime=job.runtime, variant=job.variant, reason=error.message))
    return jobs, refused


def _all(
    folder: Path,
    variants: dict[VariantName, Variant],
    others: Sequence[Other],
    runtimes: list[Name],
    threads: int,
) -> Iterator[Job]:
    for runtime in runtimes:
        files: Mapping[VariantName, Variant | Other] = variants
        if runtime in OWN_FILES:
            files = _own_files(folder, others, runtime)
        for variant, facts in sorted(files.items(), key=lambda item: item[0] != "fp32"):
            dtype, clipped = facts.input.dtype, facts.output.clipped
            job = Job(runtime, variant, folder / facts.file, dtype, threads, clipped)
            job = replace(job, single=facts.input.shape[0] == 1, **_sizes(facts))
            job = replace(job, colours=1 if facts.input.colour == "Y" else 3)
            yield job
            if variant == "fp32" and runtime in LOOSE:
                yield replace(job, exact=False)


def _own_files(
    folder: Path, others: Sequence[Other], runtime: Name
) -> Mapping[VariantName, Variant | Other]:
    """The files that the bundle has for a runtime that opens no ONNX, by variant."""
    found = {each.variant: each for each in others if each.runtime == runtime}
    if not found:
        raise VerifyError(
            f"{folder.name} has no file for {LABELS[runtime]}",
            f"Export it with one: edgesr export {folder.name} --{OWN_FILES[runtime]}",
        )
    return found


def _sizes(facts: Variant | Other) -> dict[str, Any]:
    """What `Job` says of the sizes that a file takes."""
    return {"window": facts.window} if isinstance(facts, Variant) else {"largest": facts.largest}
