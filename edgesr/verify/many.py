"""Several bundles verified one after the other: one that is damaged does not hide the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesr import console
from edgesr.errors import EdgesrError, VerifyError
from edgesr.records.evidence import Evidence
from edgesr.verify import present

Verify = Callable[[Path], Evidence]


def verify_all(folders: list[Path], verify: Verify) -> int:
    """Verify and print each of `folders`, then what falls short or could not be verified.

    Args:
        verify: `verify.stage.verify` for one folder.

    Returns:
        The exit code: 0 all gates hold, 1 some do not or a bundle is damaged, 2 something else
        went wrong with one of them.

    Raises:
        EdgesrError: of a single folder, whatever is wrong with it.
    """
    short: list[str] = []
    broken: list[tuple[str, EdgesrError]] = []
    for folder in folders:
        try:
            evidence = verify(folder)
        except VerifyError as error:
            if len(folders) == 1:
                raise
            console.warn(f"{folder.name} is not verified: {error.message}")
            broken.append((folder.name, error))
            continue
        present.print_evidence(evidence)
        if not evidence.passed:
            short.append(folder.name)
    return _summary(len(folders), short, broken)


def _summary(of: int, short: list[str], broken: list[tuple[str, EdgesrError]]) -> int:
    if short:
        console.say(f"falls short: {', '.join(short)}")
    if broken:
        console.say(f"not verified: {', '.join(name for name, _ in broken)}")
    if of > 1:
        console.say(f"{of - len(short) - len(broken)} of {of} bundles hold all their gates")
    return max([0, *(1 for _ in short), *(error.exit_code for _, error in broken)])
