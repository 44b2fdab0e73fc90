"""The finished runs, a line each: what differs in their recipes, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgesr import console
from edgesr.bundle.records.run import Run, Score, read_log
from edgesr.choose import table
from edgesr.choose.table import Row
from edgesr.errors import ModelError
from edgesr.recipe import io as recipe_io
from edgesr.workspace import Workspace

AGAIN = "Restore it from a copy, or train again."
BESIDE = (
    *("name", "export.", "verify.", "gates.", "data.validation_sets", "training.keep_best"),
    *("training.validate_every", "training.checkpoint_every", "training.log_every"),
    "training.tensorboard",
)
"""Keys of a recipe, or their beginnings, that do not change the weights that come out."""
FEW = 8
"""So many keys are printed of a run; a table in a file has all."""


def listed(workspace: Workspace, names: Sequence[str] = ()) -> list[Row]:
    """The runs of these names, or all that are finished.

    Returns:
        Of each: name, network, steps, minutes, PSNR on Y over the photographs that it held out and
        its gain over bicubic, their LPIPS, the step of the last stage that is kept as the best or
        whose PSNR was, PSNR and LPIPS of each named set, and the keys of its recipe in which the
        listed ones differ. What no run has measured has no column.

    Raises:
        ModelError: a run is not there or not finished, or there is none.
    """
    folders = [workspace.run(name) for name in names] or sorted(
        file.parent for file in workspace.runs.glob("*/run.json")
    )
    for folder in folders:
        if not (folder / "run.json").is_file():
            raise ModelError(f"{folder} is not a finished run", "See runs/, or train it.")
    if not folders:
        raise ModelError(f"no finished run in {workspace.runs}", "Train one: edgesr distill")
    changed = differences(folders)
    rows = [_row(folder) for folder in folders]
    measured = dict.fromkeys(column for row in rows for column in row)
    return [
        {column: row.get(column) for column in measured} | {"recipe": changed[folder]}
        for folder, row in zip(folders, rows, strict=True)
    ]


def show(rows: Sequence[Row]) -> None:
    """Print them, and below the table in what their recipes differ."""
    table.show([{key: value for key, value in row.items() if key != "recipe"} for row in rows])
    for row in rows:
        keys = [key for key in row["recipe"].split(", ") if key]
        more = f" and {len(keys) - FEW} more keys: -o FILE" if len(keys) > FEW else ""
        if keys:
            console.say(f"{row['run']}: {', '.join(keys[:FEW])}{more}")


def _row(folder: Path) -> Row:
    run = Run.read(folder / "run.json", AGAIN)
    score = run.validation
    row: Row = {
        "run": run.name,
        "network": run.architecture,
        "steps": run.steps,
        "minutes": f"{run.seconds / 60:.1f}",
        "dB": score and round(score.psnr_db, 2),
        "gain": score and round(score.psnr_db - score.bicubic_psnr_db, 2),
        "best at": run.best.step if run.best else _best_at(folder),
    }
    if score and score.lpips is not None:
        row["LPIPS"] = score.lpips
    return row | ({name: _of_set(each) for name, each in score.sets.items()} if score else {})


def _of_set(score: Score) -> Row:
    found: Row = {"dB": score.psnr_db}
    return found | ({} if score.lpips is None else {"LPIPS": score.lpips})


def _best_at(folder: Path) -> int | None:
    """The step of the last stage at which PSNR was best, as its log has it."""
    log = read_log(folder / "log.jsonl")
    scored = {(line.stage, line.step): line.validation.psnr_db for line in log if line.validation}
    last = {step: db for (stage, step), db in scored.items() if stage == log[-1].stage}
    return max(last, key=lambda step: last[step]) if last else None


def differences(folders: Sequence[Path]) -> dict[Path, str]:
    """Of each run the keys of its recipe, and their values, in which they are not all the same;
    those that `BESIDE` names are left out."""
    flat = {
        folder: recipe_io.flat(recipe_io.load(folder / "recipe.toml").model_dump(mode="json"))
        for folder in folders
    }
    keys = sorted(key for key in set().union(*flat.values()) if not key.startswith(BESIDE))
    differing = [key for key in keys if len({str(each.get(key)) for each in flat.values()}) > 1]
    return {
        folder: ", ".join(f"{key}={each[key]}" for key in differing if key in each)
        for folder, each in flat.items()
    }
