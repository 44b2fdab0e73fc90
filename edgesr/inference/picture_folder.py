"""A folder of pictures to enlarge: which files are taken, and what each becomes."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from edgesr.errors import DataError
from edgesr.inference.decode import EXTENSIONS
from edgesr.inference.imagefile import WRITTEN

log = logging.getLogger(__name__)

SUFFIXES = EXTENSIONS | {".jfif", ".avif", ".heic", ".heif", ".jxl"}
"""What may be a picture: one that Pillow cannot decode here is told of, not passed over."""


@dataclass
class Plan:
    """Attributes:
    jobs: of each picture the file that it becomes.
    failed: what cannot be enlarged, and why.
    """

    jobs: dict[Path, Path] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)


SAME = "{stem}{suffix}"
"""The pattern of names that stay as they are."""


def plan(source: Path, target: Path, pattern: str = SAME) -> Plan:
    """What becomes of every picture under `source`: the same place under `target`.

    A format that is not written becomes PNG. Hidden files and folders, which systems and killed
    programs leave, are not taken; nor are linked folders. Both is said. Of two pictures that would
    get the same name only the first is taken.

    Args:
        pattern: of the names, e.g. "{stem}-large{suffix}", or "{stem}.webp" for another format.

    Raises:
        DataError: no such folder, no picture in it, or a pattern that names no file.
    """
    check_pattern(pattern)
    if not source.is_dir():
        state = "a file" if source.exists() else "missing"
        raise DataError(f"{source} is {state}, expected a folder of images")
    result = Plan()
    found = _find(source, result.failed)
    if not found and not result.failed:
        raise DataError(f"no image in {source}", f"Looked for {', '.join(sorted(SUFFIXES))}.")
    # Where `source` lies inside `target`, a result may fall on a picture that is still to be read.
    taken = {path.resolve() for path in found}
    for path in found:
        name = pattern.replace("{stem}", path.stem).replace("{suffix}", path.suffix)
        written = (target / path.relative_to(source)).with_name(name)
        if written.suffix.lower() not in WRITTEN:
            written = written.with_suffix(".png")
        if written.resolve() in taken:
            result.failed[path] = f"{written} belongs to another image. Rename one of them."
        else:
            result.jobs[path] = written
        taken.add(written.resolve())
    return result


def check_pattern(pattern: str) -> None:
    """Refuse a pattern by which no file, or one file alone, could be named.

    Raises:
        DataError: it is one.
    """
    rest = pattern.replace("{stem}", "").replace("{suffix}", "")
    suffix = Path(pattern).suffix.lower()
    if "{stem}" not in pattern or set(rest) & set("{}/\\"):
        raise DataError(
            f"--name {pattern}: expected {{stem}} in it, and {{suffix}} or one of "
            f"{', '.join(WRITTEN)} at its end",
            "For example {stem}-large{suffix}.",
        )
    if not pattern.endswith("{suffix}") and suffix not in WRITTEN:
        raise DataError(
            f"--name {pattern}: '{suffix}' is not written, expected {', '.join(WRITTEN)}"
        )


def _find(source: Path, failed: dict[Path, str]) -> list[Path]:
    """The pictures under `source`, sorted; what cannot be read goes to `failed`."""

    def unreadable(error: OSError) -> None:
        failed[Path(error.filename)] = f"the folder cannot be read: {error.strerror}"

    found, hidden = [], 0
    for parent, folders, files in os.walk(source, onerror=unreadable):
        here = Path(parent)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for linked in (here / name for name in folders if (here / name).is_symlink()):
            log.warning(f"{linked} is a linked folder and left out: name it by itself")
        named = [here / name for name in files if Path(name).suffix.lower() in SUFFIXES]
        hidden += sum(path.name.startswith(".") for path in named)
        for path in (path for path in named if not path.name.startswith(".")):
            if path.is_file():
                found.append(path)
            else:
                failed[path] = "no regular file, or a link to nothing"
    if hidden:
        log.info(f"{source}: hidden pictures left out: {hidden}")
    return sorted(found)
