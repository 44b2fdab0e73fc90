"""Where runs, exports and caches live, and how files get there: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from edgesr import shipped
from edgesr.errors import EdgesrError, ModelError

TEMPORARY = ".edgesr-"
"""The names begin so of all that edgesr writes beside its place, and of its locks."""
LITTER = (".DS_Store", "._*", "Thumbs.db", "desktop.ini", f"{TEMPORARY}*")
"""What file managers, and edgesr's own writes that were cut short, leave in any folder."""
WEIGHTS = ("model.safetensors", "weights.safetensors")
"""The network's file in a run, and in a bundle."""
BEST = "best.safetensors"
"""In a run, the network of its best validation."""


@dataclass(frozen=True)
class Workspace:
    """A folder with `runs/` and `exports/` in it.

    Attributes:
        root: the folder; the current one unless told otherwise.
    """

    root: Path = Path()

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    def run(self, name: str) -> Path:
        return self.runs / name

    def bundle(self, name: str) -> Path:
        return self.exports / name

    def find_bundle(self, given: Path) -> Path:
        """`given`, or where nothing is there the bundle of that name; `given` again if there is
        none, for the caller's error to name."""
        named = self.exports / given
        return named if named.exists() and not given.exists() else given

    def find_model(self, given: Path) -> Path:
        """As `find_bundle`, but a finished run of that name comes before a bundle."""
        run = self.runs / given
        finished = (run / "run.json").is_file()
        return run if finished and not given.exists() else self.find_bundle(given)

    def find_weights(self, named: str) -> Path:
        """The weights of the model that a user names: a file, the folder of a run or a bundle, or
        the name of one, a run before a bundle.

        Raises:
            ModelError: there is nothing of the kind.
        """
        given = shipped.start(self.find_model(Path(named).expanduser()))
        found = given if given.is_file() else weights_in(given)
        if found is None:
            looked = ", ".join(map(str, (named, self.run(named), self.bundle(named))))
            raise ModelError(
                f"'{named}' is not a model: there are no weights in {looked}",
                "Name a finished run, a bundle or a model file; train one: "
                "edgesr train recipes/teacher.toml",
            )
        return found

    def mark_latest(self, name: str) -> None:
        """Remember `name` as the run that `edgesr export` takes when none is named."""
        write_text(self.runs / "latest", name + "\n")

    def find_run(self, name: str | None = None) -> Path:
        """The folder of run `name`, or of the latest run. A bundle, which keeps what its run left,
        stands in for a run that is not there.

        Raises:
            EdgesrError: there is neither, or no run at all.
        """
        if name is None:
            marker = self.runs / "latest"
            if not marker.is_file():
                raise EdgesrError(
                    f"no run in {self.runs}", "Train one: edgesr distill recipes/n4.toml --small"
                )
            name = marker.read_text().strip()
        for folder in (Path(name), self.run(name), self.bundle(name)):
            if (folder / "run.json").is_file():
                return folder
        finished = sorted(p.parent.name for p in self.runs.glob("*/run.json"))
        raise EdgesrError(
            f"run '{name}' has no finished model in {self.run(name)}",
            f"Finished runs: {', '.join(finished) or 'none'}.",
        )


def weights_in(folder: Path) -> Path | None:
    """The network's file in the folder of a run or a bundle; None where there is none."""
    return next((path for file in WEIGHTS if (path := folder / file).is_file()), None)


def is_litter(name: str) -> bool:
    """Whether a file of that name is nobody's content."""
    return any(fnmatch(name, pattern) for pattern in LITTER)


def cache_dir() -> Path:
    """The folder for decoded photographs and fetched weights (`EDGESR_CACHE`, else the user's)."""
    if named := os.environ.get("EDGESR_CACHE"):
        return Path(named)
    import pooch

    return Path(pooch.os_cache("edgesr"))


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block ends well.

    Whatever interrupts the block, or the machine, `path` holds either its old content or all of the
    new. Of a symbolic link the file that it points to is written.
    """
    if path.is_symlink():
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix[-16:])
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except Exception as error:
        error.add_note(f"while {path} was written")
        raise
    finally:
        temporary.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Have all that is in `folder`, which nobody writes to any more, on the disk."""
    for path in folder.rglob("*"):
        sync_folder(path) if path.is_dir() else _sync_file(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk; systems that cannot do that do it by themselves."""
    with suppress(OSError):
        _sync(folder, os.O_RDONLY)


def _sync_file(path: Path) -> None:
    _sync(path, os.O_RDWR)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 atomically, making the folder where it is missing."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically, making the folder where it is missing."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file that edgesr wrote.

    Raises:
        EdgesrError: it is missing, cut short or no object; says `remedy`.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgesrError(f"{path} cannot be read: {error}", remedy) from None
    if not isinstance(data, dict):
        raise EdgesrError(f"{path} holds no JSON object", remedy)
    return data


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
