"""fit(): a budget in, the recipe of the student that keeps to it on this machine out.

coarse grid -> the deepest of each width -> these once more, in turn -> the proposal, alone
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import VerifyError
from edgesr.fit import proposal
from edgesr.fit.bench import Bench
from edgesr.fit.budget import Budget, Latency
from edgesr.fit.candidates import USUAL_SCALE, Candidate, check_memory
from edgesr.fit.search import PATIENCE, Timed, propose, search
from edgesr.inference.session import Provider
from edgesr.places import check_writable
from edgesr.recipe import Scale, Verify
from edgesr.verify.providers import NAMES

COLD = 5.0
"""Seconds that the first run of a file may take, whatever the budget: it is the slowest."""


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes:
        timed: every network that was timed, with its latency in turn with others.
        proposed: the one of most capacity inside the budget.
        alone: its latency as `edgesr verify` measures it, the worst of several processes.
        recipe: the file that was written.
    """

    budget: Budget
    provider: Provider
    threads: int
    timed: Timed
    proposed: Candidate
    alone: Latency
    recipe: Path


def fit(
    budget: Budget,
    *,
    provider: str = "cpu",
    threads: int | None = None,
    scale: Scale = USUAL_SCALE,
    output: Path | None = None,
    overwrite: bool = False,
) -> Fit:
    """Find the student of most capacity that keeps to `budget` on this machine; write its recipe.

    Capacity is multiply-adds per LR pixel: nothing is trained, and training decides.

    Args:
        provider: that must really run; "cpu" or "cuda".
        threads: of the CPU; as a recipe's verify.threads unless given.
        scale: of the students.
        output: the recipe's file, whose stem is its name; recipes/fit-<width>x<depth>.toml unless
            given.
        overwrite: whether the file may be there already.

    Raises:
        RecipeError: it is there and may not be.
        MachineError: it cannot be written, or there is too little memory for the size.
        VerifyError: the provider does not run, or no candidate keeps to the budget.
    """
    meant = next((name for name in NAMES.values() if name == provider), None)
    if meant is None:
        raise VerifyError(f"--provider {provider}: expected one of {', '.join(NAMES.values())}")
    threads = Verify().threads if threads is None else threads
    if output is not None:
        proposal.check_target(output, overwrite=overwrite)
    check_writable(output.parent if output else proposal.FOLDER, "the recipe")
    check_memory(budget.size)
    with tempfile.TemporaryDirectory(prefix="edgesr-fit-") as folder:
        patience = max(COLD, PATIENCE * budget.ms / 1e3)
        bench = Bench(Path(folder), meant, budget.size, threads, patience)
        timed = search(bench.together, budget, scale)
        proposed, alone = propose(timed, budget, bench.alone)
    path = output or proposal.path_for(proposed)
    proposal.check_target(path, overwrite=overwrite)
    proposal.write(path, proposed, budget, latency=alone, provider=provider, threads=threads)
    return Fit(budget, meant, threads, timed, proposed, alone, path)
