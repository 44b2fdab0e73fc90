"""Does a bundle do here what it did where it was made? Sums, then golden vectors.

    python -m edgesr.bundle.check exports/n4

Needs NumPy, ONNX Runtime (or OpenVINO) and pydantic, nothing else that is not of the standard
library.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgesr.bundle.card import AGAIN, read_card
from edgesr.bundle.likeness import likeness_db
from edgesr.bundle.records import golden
from edgesr.bundle.records.base import check_regular
from edgesr.bundle.records.card import Variant, VariantName
from edgesr.errors import BundleError, EdgesrError, MissingPackage
from edgesr.extras import onnx_runtime
from edgesr.inference.infer import Session, infer
from edgesr.inference.openvino import OpenVinoSession
from edgesr.inference.session import Runtime
from edgesr.inference.tiling import Pixels, to_bytes, to_values

if TYPE_CHECKING:
    from rich.table import Table

Values = NDArray[np.float32]
DB = " dB"


@dataclass(frozen=True)
class Golden:
    """One golden vector.

    Attributes:
        pixels: the input, (H, W, 3) RGB.
        expected: variant -> what it should give for pixels / 255, (1, 3, 4H, 4W), not clipped.
        float_answer: what int8 stands in for, alike; None where there is no int8 file.
        least_db: PSNR that int8 must keep to it.
    """

    name: str
    pixels: Pixels
    expected: dict[str, Values]
    float_answer: Values | None = None
    least_db: float = 0.0

    def as_bytes(self, variant: str) -> Pixels:
        """What is expected of `variant` as (1, 4H, 4W, 3) bytes."""
        return to_bytes(self.expected[variant]).transpose(0, 2, 3, 1)


@dataclass(frozen=True)
class Row:
    """One variant on one golden vector.

    Attributes:
        measured: the largest difference, in values of 0..1 or in 8-bit levels, or PSNR in dB to the
            float answer; None where the variant gave no output to compare.
        limit: the most that golden.json tolerates; of PSNR, the least.
        message: why nothing was measured.
    """

    variant: str
    case: str
    measured: float | None
    limit: float
    unit: str
    message: str = ""

    @property
    def passed(self) -> bool:
        if self.measured is None:
            return False
        return self.limit <= self.measured if self.unit == DB else self.measured <= self.limit

    def cells(self) -> tuple[str, str, str, str, str]:
        """Variant, case, measured, limit, verdict."""
        measured = self.message if self.measured is None else f"{self.measured:.2g}{self.unit}"
        verdict = "holds" if self.passed else "FAILS"
        least = "at least " if self.unit == DB else ""
        return self.variant, self.case, measured, f"{least}{self.limit:.2g}{self.unit}", verdict


def check(folder: Path, runtime: Runtime = "onnxruntime") -> list[Row]:
    """Compare a bundle's files with their sums, then run every variant on the golden vectors.

    Returns:
        A row for each variant and vector, on the CPU.

    Raises:
        MissingPackage: the runtime is not installed.
        BundleError: the bundle is incomplete, or a file is not the one that was exported.
    """
    card = read_card(folder)
    tolerance, goldens = read_golden(folder / "golden", card.scale)
    rows = []
    for name, facts in card.variants.items():
        key = "max_levels" if _takes_bytes(facts) else "max_abs"
        limit = getattr(tolerance.get(name), key, None)
        if limit is None:
            raise BundleError(f"{folder}/golden/golden.json has no tolerance {key} for {name}")
        rows += _rows(folder, name, facts, goldens, limit, runtime)
    return rows


def _takes_bytes(facts: Variant) -> bool:
    return facts.input.dtype == "uint8"


def _rows(
    folder: Path,
    variant: str,
    facts: Variant,
    goldens: list[Golden],
    limit: float,
    runtime: Runtime,
) -> list[Row]:
    levels = _takes_bytes(facts)
    unit = " levels" if levels else ""
    try:
        session = open_on_cpu(folder / facts.file, runtime)
        measured = deviations(session, variant, goldens, levels=levels)
    except MissingPackage:
        raise
    except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
        reason = str(error).partition("\n")[0]
        return [Row(variant, golden.name, None, limit, unit, reason) for golden in goldens]
    rows = [
        Row(variant, golden.name, value, limit, unit)
        for golden, value in zip(goldens, measured, strict=True)
    ]
    return [*rows, *_loss(session, goldens)] if variant == "int8" else rows


def _loss(session: Session, goldens: list[Golden]) -> Iterator[Row]:
    """How like the float answer eight bits are here."""
    for case in goldens:
        if case.float_answer is not None:
            sr = infer(session, to_values(case.pixels[None]))
            yield Row("int8", case.name, likeness_db(case.float_answer, sr), case.least_db, DB)


def read_golden(
    folder: Path, scale: int
) -> tuple[dict[VariantName, golden.Tolerance], list[Golden]]:
    """The tolerance of each variant, and the golden vectors in a bundle's `golden/`.

    Raises:
        BundleError: a file is missing, or is not what golden.json says of it.
    """
    facts = golden.Golden.read(folder / "golden.json", AGAIN)
    return facts.tolerance, [_read(folder, case, scale) for case in facts.cases]


def _read(folder: Path, case: golden.Case, scale: int) -> Golden:
    pixels = _array(folder / case.input, "u1", (case.height, case.width, 3))
    shape = (1, 3, scale * case.height, scale * case.width)
    expected: dict[str, Values] = {
        variant: _array(folder / name, "<f4", shape).astype(np.float32)
        for variant, name in case.output.items()
    }
    if (reference := case.reference) is None:
        return Golden(case.name, pixels, expected)
    answer = _array(folder / reference.file, "<f4", shape).astype(np.float32)
    return Golden(case.name, pixels, expected, answer, reference.min_psnr_db)


def _array(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    check_regular(path, AGAIN)
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if (found := path.stat().st_size) != expected:
        raise BundleError(f"{path} has {found:,} bytes, expected {expected:,} for {shape}", AGAIN)
    return np.fromfile(path, dtype).reshape(shape)


def deviations(
    session: Session, variant: str, goldens: list[Golden], *, levels: bool
) -> list[float]:
    """The largest difference of a model to what each golden vector expects of `variant`; infinity
    or NaN where it has one.

    Args:
        levels: whether the model takes and gives bytes, (batch, H, W, 3), and the difference is
            in 8-bit levels.

    Raises:
        ValueError: the output has another shape. ONNX Runtime's own errors pass through.
    """
    found = []
    for case in goldens:
        lr = case.pixels[None] if levels else to_values(case.pixels[None])
        sr = infer(session, lr)
        expected = case.as_bytes(variant) if levels else case.expected[variant]
        if sr.shape != expected.shape:
            raise ValueError(f"{case.name}: shape {sr.shape}, expected {expected.shape}")
        found.append(float(np.abs(sr.astype(np.float64) - expected).max()))
    return found


def open_on_cpu(model: Path, runtime: Runtime = "onnxruntime") -> Session:
    """A session as an app opens it."""
    if runtime == "openvino":
        return OpenVinoSession(model)
    options = onnx_runtime().SessionOptions()
    options.log_severity_level = 4  # what fails is told by the exception
    session: Session = onnx_runtime().InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"]
    )
    return session


def table(rows: list[Row]) -> Table:
    """The rows for a terminal."""
    from rich.table import Table

    view = Table(width=78)
    for column in ("variant", "golden vector", "off by", "at most", ""):
        view.add_column(column)
    for row in rows:
        view.add_row(*row.cells())
    return view


def main(arguments: list[str]) -> int:
    """Print a line for each row; the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m edgesr.bundle.check BUNDLE\n")
        return 2
    try:
        rows = check(Path(arguments[0]))
    except EdgesrError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for row in rows:
        sys.stdout.write("  ".join(row.cells()) + "\n")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
