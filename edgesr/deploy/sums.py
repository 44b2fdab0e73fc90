"""SHA256SUMS: the checksums of a bundle's files, in the format of `sha256sum -c`.

Imports nothing but the standard library.
"""

from __future__ import annotations

from pathlib import Path

from edgesr.errors import BundleError
from edgesr.workspace import sha256, write_text

NAME = "SHA256SUMS"
# What `edgesr verify` and `edgesr report` write beside what was exported.
UNLISTED = {NAME, "verify.json", "junit.xml", "report.html"}


def write_sums(folder: Path) -> None:
    """List every file of the bundle but those in `UNLISTED`, by its path inside `folder`."""
    _write(folder, {name: sha256(folder / name) for name in _files(folder)})


def renew_sum(folder: Path, name: str) -> None:
    """State the sum that the file `name` has now; the other lines stay as they are."""
    _write(folder, read_sums(folder) | {name: sha256(folder / name)})


def check_sums(folder: Path) -> dict[str, str]:
    """Compare every file with its sum.

    Returns:
        The sums in hexadecimal by path.

    Raises:
        BundleError: no sums, or files that were changed, are missing or are not listed; the
            message names each.
    """
    sums, files = read_sums(folder), _files(folder)
    changed = [name for name in files if name in sums and sha256(folder / name) != sums[name]]
    faults = [f"{name} was changed" for name in changed]
    faults += [f"{name} is missing" for name in sums if name not in files]
    faults += [f"{name} is not listed" for name in files if name not in sums]
    if faults:
        raise BundleError(
            f"{folder} does not match its {NAME}: {', '.join(faults)}",
            "Restore the files, or export the bundle again: edgesr export --onnx",
        )
    return sums


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted({path.relative_to(folder).as_posix() for path in found} - UNLISTED)


def read_sums(folder: Path) -> dict[str, str]:
    """The sums that are stated, in hexadecimal by path.

    Raises:
        BundleError: there are none, or they cannot be read.
    """
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{path} cannot be read: {error}", "Export the bundle again: edgesr export --onnx"
        ) from None


def _write(folder: Path, sums: dict[str, str]) -> None:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    write_text(folder / NAME, "".join(lines))
