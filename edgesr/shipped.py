"""The bundles, recipes and starts that come with edgesr, found from any folder.

They lie in the package where it was installed from a wheel, and beside it in a checkout.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
TIERS = "edge-*"
"""The bundles that are in the wheel; others are those of a checkout alone."""


def root() -> Path:
    """The folder with `exports/` and `recipes/` in it."""
    packaged = PACKAGE / "_shipped"
    return packaged if packaged.is_dir() else PACKAGE.parent


def licence(name: str) -> Path | None:
    """The text of the licence of that name (SPDX), where it is edgesr's own; None of others."""
    file = root() / "LICENSE"
    return file if name == "Apache-2.0" and file.is_file() else None


def bundles() -> dict[str, Path]:
    """Every bundle that comes along, by its name."""
    cards = sorted((root() / "exports").glob(f"{TIERS}/card.json"))
    return {card.parent.name: card.parent for card in cards}


def find(given: Path) -> Path:
    """The bundle or file that `given` names: itself, else that name in ./exports, else what comes
    along; `given` again where there is none, for the caller's error to name."""
    here = Path("exports") / given
    if given.exists() or here.exists():
        return given if given.exists() else here
    return bundles().get(str(given), given)


def recipe(given: Path) -> Path:
    """The file of the recipe that `given` names: itself, else that name in ./recipes, else what
    comes along; `given` again where there is none."""
    named = Path("recipes") / f"{given.name}.toml"
    if given.exists() or given.parent != Path():
        return given
    return next((path for path in (named, root() / named) if path.is_file()), given)


def start(given: Path) -> Path:
    """The weights `recipes/starts/NAME`, or those in `exports/BUNDLE`, where a recipe names them
    and they are not here; other paths as they are."""
    named = given.parent == Path("recipes/starts") or given.parent.parent == Path("exports")
    found = root() / given
    return found if named and not given.exists() and found.is_file() else given
