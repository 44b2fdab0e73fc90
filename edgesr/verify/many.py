"""Several bundles verified one after the other: one that is damaged does not hide the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesr import console
from edgesr.bundle.records.evidence import Evidence
from edgesr.errors import EdgesrError
from edgesr.verify import present

Verify = Callable[[Path], Evidence]


def verify_all(folders: list[Path], verify: Verify) -> int:
    """Verify and print each of `folders`; at the end of several stands a line each.

    Args:
        verify: `verify.stage.verify` for one folder.

    Returns:
        The exit code: 0 where all gates hold, 1 where some do not, and where a bundle could not be
        verified the highest code of what was wrong, see `errors`.

    Raises:
        EdgesrError: of a single folder, whatever is wrong with it.
    """
    lines: list[str] = []
    code = 0
    for folder in folders:
        try:
            evidence = verify(folder)
        except EdgesrError as error:
            if len(folders) == 1:
                raise
            console.warn(f"{folder.name} is not verified: {_in_a_line(str(error))}")
            lines.append(f"not verified: {folder.name}: {_in_a_line(error.message)}")
            code = max(code, error.exit_code)
            continue
        present.print_evidence(evidence)
        lines.append(f"{'holds' if evidence.passed else 'falls short'}: {folder.name}")
        code = max(code, int(not evidence.passed))
    if len(folders) > 1 or code:
        for line in lines:
            console.say(line)
    return code


def _in_a_line(message: str) -> str:
    """`message` without its line breaks: a recipe's faults are told on a line each."""
    return " ".join(message.split())
