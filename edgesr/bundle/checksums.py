"""SHA256SUMS: the checksums of a bundle's files, in the format of `sha256sum -c`. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from edgesr.bundle.records.base import check_regular, read_bytes
from edgesr.errors import BundleError, shortened
from edgesr.workspace import is_litter, sha256, write_text

NAME = "SHA256SUMS"
EVIDENCE = ("verify.json", "junit.xml", "report.html")
"""What `edgesr verify` and `edgesr report` write, beside what was exported or elsewhere."""
AGAIN = "Restore the files, or export the bundle again: edgesr export"
LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?)")
"""A sum and a file in the bundle's folder or in one inside it: no other path."""


def digest(folder: Path) -> str:
    """A bundle's digest: the SHA-256 of its SHA256SUMS, which names the sum of every file.

    Raises:
        BundleError: there is none.
    """
    check_regular(folder / NAME, AGAIN)
    return sha256(folder / NAME)


def write_checksums(folder: Path) -> None:
    """List every file of the bundle but `EVIDENCE`, by its path inside `folder`."""
    lines = [f"{sha256(folder / name)}  {name}\n" for name in _files(folder)]
    write_text(folder / NAME, "".join(lines))


def check_checksums(folder: Path) -> dict[str, str]:
    """Compare every file with its sum. What file managers leave in a folder is overlooked.

    Returns:
        The sums in hexadecimal by path.

    Raises:
        BundleError: no sums, or files that were changed, are missing, are not listed or are no
            regular files; the message names each.
    """
    sums, files = read_checksums(folder), _files(folder)
    for name in files:
        check_regular(folder / name, AGAIN)
    changed = [name for name in files if name in sums and sha256(folder / name) != sums[name]]
    faults = [f"{name} was changed" for name in changed]
    faults += [f"{name} is missing" for name in sums if name not in files]
    faults += [f"{name} is not listed" for name in files if name not in sums]
    if faults:
        more = f" and {len(faults) - 20:,} more" if len(faults) > 20 else ""
        raise BundleError(
            f"{folder} does not match its {NAME}: {', '.join(faults[:20])}{more}", AGAIN
        )
    return sums


def _files(folder: Path) -> list[str]:
    """Everything in the bundle that is not a plain folder, but the sums, evidence and litter."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    kept = {path.relative_to(folder).as_posix() for path in found if not is_litter(path.name)}
    return sorted(kept - {NAME, *EVIDENCE})


def read_checksums(folder: Path) -> dict[str, str]:
    """The sums that are stated, in hexadecimal by path.

    Raises:
        BundleError: there are none, or they cannot be read.
    """
    path = folder / NAME
    text = read_bytes(path, AGAIN).decode("utf-8", errors="replace")
    found = [(line, LINE.fullmatch(line)) for line in text.splitlines()]
    wrong = next((line for line, match in found if match is None), None)
    if wrong is not None:
        raise BundleError(f"{path} cannot be read: {shortened(wrong)} is not a sum and file", AGAIN)
    return {match[2]: match[1] for _, match in found if match}
