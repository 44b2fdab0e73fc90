"""The rooms of the house: which may import which, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import edgesr

PACKAGE = Path(edgesr.__file__).parent

GROUND = ("errors", "console", "workspace", "folders", "places", "signals", "streams", "ending")
GROUND += ("children", "bounds", "machine", "revision", "extras", "shipped", "refusals", "variant")
"""What any room may stand on: messages, files, processes. It imports no room."""

MAY_IMPORT = {
    "recipe": (),
    "inference": (),
    "video": ("inference",),
    "metrics": ("bundle",),
    "bundle": ("inference", "recipe"),
    "runtimes": ("inference", "bundle"),
    "targets": ("bundle",),
    "models": ("bundle", "data", "recipe", "inference"),
    "data": ("bundle", "inference", "recipe", "video"),
    "losses": ("recipe", "weights"),
    "training": ("bundle", "data", "inference", "losses", "metrics", "models", "recipe"),
    "quality": (
        *("bundle", "data", "inference", "losses", "metrics", "models", "video", "weights"),
    ),
    "deploy": ("bundle", "data", "inference", "metrics", "models", "recipe", "runtimes"),
    "verify": (
        *("bundle", "data", "deploy", "inference", "losses", "metrics", "models", "quality"),
        *("recipe", "runtimes", "targets"),
    ),
    "fit": ("bundle", "deploy", "inference", "models", "recipe", "runtimes", "verify"),
    "choose": ("bundle", "data", "fit", "losses", "models", "quality", "recipe", "verify"),
    "report": (
        *("bundle", "data", "inference", "metrics", "models", "quality", "recipe", "runtimes"),
        "verify",
    ),
}
"""Of each room, the rooms that it may import beside the ground; an arrow downwards."""

ABOVE = ("benchmark", "blend", "cli", "demo", "doctor", "weights", "weights_fetch", "__main__")
"""Single files that join rooms, or that the losses stand on."""


def imports(file: Path) -> set[str]:
    """The rooms and files of edgesr that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "edgesr":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgesr."):
            found.add(str(node.module).split(".")[1])
    return {
        name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    }


def files(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]


def test_every_room_is_drawn() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__"} == {*GROUND, *MAY_IMPORT, *ABOVE}


def test_no_two_rooms_import_each_other() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


def test_the_page_draws_each_room_above_all_that_it_may_import() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = page.partition("## Rooms\n")[2].split("```\n")[1].splitlines()
    rooms = [line.partition("     ")[0].split() for line in drawing]
    line = {room: at for at, names in enumerate(rooms) for room in names}
    for room, below in MAY_IMPORT.items():
        assert all(line[other] > line[room] for other in below), room


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    wrong = {
        f"{file.relative_to(PACKAGE)} imports {other}"
        for file in files(room)
        for other in imports(file) - {room, *MAY_IMPORT[room], *GROUND}
    }
    assert not wrong


@pytest.mark.parametrize("name", GROUND)
def test_the_ground_imports_no_room(name: str) -> None:
    assert imports(PACKAGE / f"{name}.py") <= {*GROUND}


@pytest.mark.parametrize("room", ["inference", "video"])
def test_what_runs_in_an_app_loads_neither_torch_nor_onnx_nor_pydantic_nor_rich(
    room: str,
) -> None:
    modules = [f"edgesr.{room}.{file.stem}" for file in files(room)]
    code = f"import sys, {', '.join(m for m in modules if not m.endswith('__init__'))}; "
    code += "print([m for m in ('torch', 'onnx', 'pydantic', 'typer', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
