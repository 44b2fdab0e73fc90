"""The bundle that is there when another of its name is written: what would be lost with it."""

from __future__ import annotations

from pathlib import Path

from edgesr.bundle.card import read_card
from edgesr.deploy.formats import FORMATS, files_in
from edgesr.deploy.variants import MADE, names_in
from edgesr.errors import BundleError, ExportError
from edgesr.models.zoo import SRModel
from edgesr.variant import file_of
from edgesr.workspace import WEIGHTS, sha256


def check_lost(target: Path, model: SRModel, files: list[str], *, own: bool) -> None:
    """Refuse to replace an earlier bundle that would lose something.

    Args:
        files: all model files that the new one has.
        own: what is exported is the run of the bundle's name, or the bundle itself.

    Raises:
        ExportError: it holds another network that only has the same name, or model files that are
            not asked for.
    """
    if not own and target.exists() and not same_weights(target, model):
        raise ExportError(
            f"{target} holds another network than {model.path}",
            "Rename that folder, or replace it: --force.",
        )
    there = [*map(file_of, names_in(target)), *files_in(target)]
    lost = [file for file in there if file not in files]
    if lost:
        options = ", ".join(f"--{name}" for name in (*MADE, "fixed", *FORMATS))
        raise ExportError(
            f"{target} also has {', '.join(lost)}, not asked for now",
            f"Make all that it has anew: edgesr export {target.name} --again. Ask for them too: "
            f"{options}. Or let them go: --force.",
        )


def same_weights(folder: Path, model: SRModel) -> bool:
    """Whether the bundle in `folder` holds the network's."""
    path = folder / WEIGHTS[1]
    return path.is_file() and sha256(path) == model.sha256


def whole(folder: Path) -> bool:
    """Whether `folder` is a bundle that verify would take."""
    try:
        read_card(folder)
    except BundleError:
        return False
    return True
