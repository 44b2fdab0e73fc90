"""What the shell's completion offers: what is there, by its name.

Where nothing fits, the shell offers files, which most of these arguments take too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edgesr.workspace import Workspace


def bundles(incomplete: str) -> list[str]:
    """The bundles in exports/."""
    return _fitting(_named(Workspace().exports, "card.json"), incomplete)


def models(incomplete: str) -> list[str]:
    """The finished runs in runs/, and the bundles."""
    workspace = Workspace()
    found = {*_named(workspace.runs, "run.json"), *_named(workspace.exports, "card.json")}
    return _fitting(sorted(found), incomplete)


def recipes(incomplete: str) -> list[str]:
    """The recipes in recipes/."""
    return _fitting(
        (path.as_posix() for path in sorted(Path("recipes").glob("*.toml"))), incomplete
    )


def variants(incomplete: str) -> list[str]:
    """The variants of the bundles in exports/."""
    found = (name for folder in sorted(Workspace().exports.glob("*")) for name in _variants(folder))
    return _fitting(dict.fromkeys(found), incomplete)


def providers(incomplete: str) -> list[str]:
    """ONNX Runtime's execution providers, as edgesr calls them."""
    return _fitting(("cpu", "cuda"), incomplete)


def runtimes(incomplete: str) -> list[str]:
    """The runtimes that are measured beside ONNX Runtime."""
    from edgesr.runtimes.base import LABELS

    return _fitting((name for name in LABELS if name not in providers("")), incomplete)


def all_runtimes(incomplete: str) -> list[str]:
    """The runtimes, ONNX Runtime's execution providers each by its name."""
    return [*providers(incomplete), *runtimes(incomplete)]


def targets(incomplete: str) -> list[str]:
    """The delegates whose documentation is known."""
    from edgesr.verify.targets import TARGETS

    return _fitting(TARGETS, incomplete)


def networks(incomplete: str) -> list[str]:
    """The networks whose weights can be fetched."""
    from edgesr.weights import USED_FOR

    return _fitting(USED_FOR, incomplete)


def sets(incomplete: str) -> list[str]:
    """The benchmark sets."""
    from edgesr.data.benchmarks import BENCHMARKS

    return _fitting(BENCHMARKS, incomplete)


def records(incomplete: str) -> list[str]:
    """The records whose schema is published."""
    from edgesr.bundle.records.schemas import PUBLISHED

    return _fitting(PUBLISHED, incomplete)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _named(parent: Path, record: str) -> list[str]:
    """The folders in `parent` that hold `record`; no temporary ones."""
    return sorted(
        path.parent.name
        for path in parent.glob(f"*/{record}")
        if not path.parent.name.startswith(".")
    )


def _variants(folder: Path) -> list[str]:
    """A damaged card offers nothing: a completion is no place for an error."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return list(json.loads((folder / "card.json").read_text(encoding="utf-8"))["variants"])
    return []
