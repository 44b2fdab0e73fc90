"""Several bundles verified one after the other: what was measured already is kept, and one that is
damaged does not hide the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.rows import Machine
from edgesr.errors import EdgesrError
from edgesr.machine import machine
from edgesr.recipe import io as recipe_io
from edgesr.verify import present, resume, stage, summary
from edgesr.verify.evidence import counting, evidence_folder, when
from edgesr.verify.request import Request

OWN = Path("evidence")
"""Where evidence goes that would take the place of another machine's."""


class Outcome(NamedTuple):
    """The evidence of a bundle, and what to say of where it is; empty where nothing is unusual."""

    evidence: Evidence
    note: str = ""


Verify = Callable[[Path], Outcome]


def verify_or_keep(
    folder: Path, request: Request, output: Path | None = None, *, again: bool = False
) -> Outcome:
    """Verify a bundle, unless evidence of the same is there: of the bundle as it is, measured on
    this machine, by this edgesr, of what is asked for.

    Evidence beside the bundle that counts for it and comes from another machine stays; this
    machine's goes into `evidence/<the bundle's folder>` then, and is kept there.

    Args:
        output: as `stage.verify`.
        again: measure anew, and replace what is there.
    """
    folder = folder.resolve()
    if request.quick:
        return Outcome(stage.run(folder, request, output))
    aside = output is None and not again and _is_elsewheres(counting(folder, folder))
    output = OWN if aside else output
    place = evidence_folder(folder, output)
    earlier = counting(folder, place)
    if again:
        resume.discard(place)
    elif earlier and _is_same(earlier, folder, request):
        return Outcome(earlier, f"kept: the evidence of {when(earlier)} (measure anew: --again)")
    evidence = stage.run(folder, request, output)
    if aside:
        came = "the evidence that it came with is another machine's, and stays"
        return Outcome(evidence, f"written to {OWN / folder.name}: {came} (replace it: --again)")
    return Outcome(evidence, f"replaces the evidence of {when(earlier)}" if earlier else "")


def _is_elsewheres(evidence: Evidence | None) -> bool:
    return evidence is not None and evidence.machine != Machine(**machine())


def _is_same(earlier: Evidence, folder: Path, request: Request) -> bool:
    """Whether `earlier`, which counts for the bundle, is what would be measured."""
    recipe = recipe_io.load_any(folder / "recipe.toml")
    return not earlier.quick and request.of_bundle(folder, recipe).is_like(earlier)


def verify_all(folders: list[Path], verify: Verify, *, verbose: bool = False) -> int:
    """Verify each of `folders`; print a line of each, its gates that do not hold, and a summary.

    Args:
        verify: `verify_or_keep` for one folder.
        verbose: print all tables, too.

    Returns:
        The exit code: 0 where all gates hold, 1 where some do not, and where a bundle could not be
        verified the highest code of what was wrong, see `errors`.

    Raises:
        EdgesrError: of a single folder, whatever is wrong with it.
    """
    lines = summary.Lines([folder.name for folder in folders])
    code = 0
    for folder in folders:
        try:
            evidence, note = verify(folder)
        except EdgesrError as error:
            if len(folders) == 1:
                raise
            lines.print_error(folder.name, error)
            code = max(code, error.exit_code)
            continue
        if verbose:
            present.print_evidence(evidence)
        lines.print_bundle(folder.name, evidence, note)
        code = max(code, int(not evidence.passed))
    lines.print_summary()
    return code
