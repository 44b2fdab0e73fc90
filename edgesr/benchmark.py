"""Which runtime and variant of a bundle is fastest here, and what each of them loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from edgesr import console
from edgesr.bounds import parse_size
from edgesr.bundle.card import read_card
from edgesr.bundle.check import read_golden
from edgesr.bundle.likeness import IDENTICAL_DB, likeness_db
from edgesr.bundle.records.card import Card
from edgesr.errors import DataError, MissingPackage, VerifyError
from edgesr.extras import onnx_runtime
from edgesr.inference import decode
from edgesr.inference.padding import padded
from edgesr.inference.tiling import Pixels, to_values
from edgesr.runtimes.base import LABELS, Name, Values
from edgesr.runtimes.registry import load
from edgesr.variant import parse
from edgesr.verify.jobs import Job, plan
from edgesr.verify.turns import Timed, in_turn

TF32 = "cuda=edgesr.inference.session.CudaSettings(tf32=True)"
LARGEST = 512
"""Side in LR pixels of what is taken from the middle of a picture."""


@dataclass(frozen=True)
class Ran:
    """A job of a bundle that ran here.

    Attributes:
        precision: in which float32 products were computed.
        like_db: PSNR on RGB of its picture against fp32's, both held to 0..1; `IDENTICAL_DB` at
            most.
        latency: of `verify.turns.Taken`.
        size: LR "WIDTHxHEIGHT" that was timed.
    """

    job: Job
    precision: str
    like_db: float
    latency: dict[str, float]
    size: str

    @property
    def ms_per_pixel(self) -> float:
        """Of LR, in the median."""
        width, height = parse_size(self.size)
        return self.latency["p50_ms"] / (width * height)

    @property
    def variant(self) -> str:
        """As it is printed; the precision where it is not float32."""
        return self.job.variant if self.job.exact else f"{self.job.variant}, {self.precision}"

    def python(self, name: str) -> str:
        """The line that opens it; empty where edgesr opens no pictures with its runtime."""
        job = self.job
        if job.runtime not in ("cpu", "cuda", "openvino"):
            return ""
        said: dict[str, Any] = {} if job.variant == "fp32" else {"variant": job.variant}
        said |= {"runtime": "openvino"} if job.runtime == "openvino" else {"provider": job.runtime}
        said |= {"threads": job.threads} if job.runtime != "cuda" else {}
        words = [f'"{name}"', *(f"{key}={_quoted(value)}" for key, value in said.items())]
        if not job.exact:
            words.append("exact=False" if job.runtime == "openvino" else TF32)
        return f"edgesr.Upscaler({', '.join(words)})"


@dataclass(frozen=True)
class Benchmark:
    """Attributes:
    ran: the fastest first, in time per LR pixel.
    reference: fp32 of the first runtime, ONNX Runtime's CPU where it is there.
    absent: a line of each runtime, and each file on one, that did not run, and why.
    noisy: why the times are not to be judged; empty where the machine was quiet.
    """

    ran: list[Ran]
    reference: Ran
    absent: list[str]
    noisy: str

    def rows(self) -> list[dict[str, Any]]:
        """As `choose.table` takes them."""
        return [
            {
                "runtime": LABELS[ran.job.runtime],
                "variant": ran.variant,
                "p50 ms": ran.latency["p50_ms"],
                "p95 ms": ran.latency["p95_ms"],
                "times": self.reference.ms_per_pixel / ran.ms_per_pixel,
                "dB to fp32": "same" if ran.like_db >= IDENTICAL_DB else round(ran.like_db, 1),
            }
            for ran in self.ran
        ]

    def winners(self, name: str) -> list[str]:
        """The line of Python that opens the fastest one, and where that is another function than
        fp32's, the line for the fastest one that is not."""
        opened = [(ran, line) for ran in self.ran if (line := ran.python(name))]
        first = opened[:1]
        same = [each for each in opened if each[0].like_db >= IDENTICAL_DB][:1]
        lines = [line for _, line in first]
        if same and same != first:
            lines.append(f"{same[0][1]}  # as fp32")
        return lines


def benchmark(
    bundle: Path,
    *,
    size: str,
    threads: int,
    runtimes: Sequence[str] = (),
    picture: Path | None = None,
) -> Benchmark:
    """Time every variant of a bundle on every runtime that is installed, in turns, and compare what
    each makes of a picture with what fp32 makes of it on the first of the runtimes.

    Args:
        size: LR "WIDTHxHEIGHT" that is timed, but of files that take one size alone.
        threads: of the CPU.
        runtimes: only these.
        picture: LR; the bundle's golden photograph unless given. It is mirrored up to the largest
            window: at a picture's own edge a file of one window sees something else.

    Raises:
        BundleError: it is no bundle, or an incomplete one.
        PhotoError: the picture cannot be read.
        VerifyError: an unknown runtime, or none that runs fp32.
    """
    card = read_card(bundle)
    windows = [facts.window or (1, 1) for facts in card.variants.values()]
    least = max(height for height, _ in windows), max(width for _, width in windows)
    lr = to_values(padded(_pixels(bundle, card, picture), (0, 1), 1, least)[None])
    jobs, absent = _jobs(bundle, card, threads, runtimes)
    expected: Values | None = None
    likeness = {}
    for job in console.track(jobs, "pictures", len(jobs)):
        with job.opened() as (run, facts):
            sr = run(lr)
        expected = sr if expected is None else expected
        likeness[job] = facts.precision, likeness_db(expected, sr)
    console.say(f"timing {len(jobs)} in turn")
    timed = [
        Timed(job.file, job.runtime, job.dtype, job.exact, parse(job.variant).window, job.colours)
        for job in jobs
    ]
    taken = in_turn(timed, size=size, threads=threads)
    ran = [
        Ran(job, *likeness[job], row, file.size or size)
        for job, file, row in zip(jobs, timed, taken.rows, strict=True)
    ]
    fastest_first = sorted(ran, key=lambda each: each.ms_per_pixel)
    return Benchmark(fastest_first, ran[0], absent, taken.noisy)


def _jobs(
    bundle: Path, card: Card, threads: int, runtimes: Sequence[str]
) -> tuple[list[Job], list[str]]:
    """What runs here, fp32 of the first runtime first, and a line for all that does not."""
    names: tuple[Name, ...] = get_args(Name)
    if unknown := [name for name in runtimes if name not in names]:
        raise VerifyError(f"--runtime {unknown[0]}: expected one of {', '.join(names)}")
    found: list[Job] = []
    absent = []
    for name in (name for name in names if name in (runtimes or names)):
        try:
            _check(name)
            jobs, refused = plan(
                bundle,
                card.variants,
                [name],
                threads,
                sizes=(card.multiple, card.min_size),
                halo=card.halo,
                others=card.others,
            )
        except (VerifyError, MissingPackage) as error:
            absent.append(f"{LABELS[name]}: {_one_line(error)}")
            continue
        found += jobs
        absent += [f"{LABELS[name]}, {row.variant}: {row.reason}" for row in refused]
    if not found:
        raise VerifyError(f"no runtime here runs {bundle.name}: {'; '.join(absent)}")
    return found, absent


def _check(name: Name) -> None:
    """Load a runtime.

    Raises:
        VerifyError, MissingPackage: it is not there, or runs nothing.
    """
    if name in ("cpu", "cuda"):
        onnx_runtime()
    if name == "cuda":
        from edgesr.runtimes.probe import fault

        if reason := fault("CUDAExecutionProvider"):
            raise VerifyError(reason)
    load(name)


def _one_line(error: Exception) -> str:
    return str(error).replace("\n", ". ")


def _pixels(bundle: Path, card: Card, picture: Path | None) -> Pixels:
    """RGB of the picture that is compared: at most `LARGEST` a side, from its middle."""
    if picture is None:
        _, cases = read_golden(bundle / "golden", card.scale)
        return next((case for case in cases if case.name == "photograph"), cases[0]).pixels
    found = decode.read(picture).shallow().pixels
    if found.ndim == 2 or found.shape[2] != 3:
        raise DataError(f"{picture}: expected a picture in RGB, without transparency")
    top, left = (max(0, (side - LARGEST) // 2) for side in found.shape[:2])
    return found[top : top + LARGEST, left : left + LARGEST]


def _quoted(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
