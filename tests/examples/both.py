"""What the tests of the Python, Node and C++ examples ask of each, in the same words."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from edgesr import Upscaler
from edgesr.bundle.card import read_card
from edgesr.bundle.records.device import Device
from edgesr.variant import parse

Done = CompletedProcess[str]

# Larger than one tile of 256 pixels along one axis, along none, and a single pixel.
sizes = pytest.mark.parametrize("size", [(20, 530), (9, 7), (1, 1)], ids=str)
# Where multiples of 8 are taken: none, all, more than one tile, less than half of a multiple.
gridded_sizes = pytest.mark.parametrize("size", [(21, 34), (16, 24), (9, 530), (3, 5)], ids=str)
# For windows of 20 x 14: many along one axis, just one, less along both, a single pixel.
windowed_sizes = pytest.mark.parametrize("size", [(17, 90), (14, 20), (9, 7), (1, 1)], ids=str)
variants = pytest.mark.parametrize("variant", ["fp32", "uint8-io"])
suffixes = pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    shape = (height, width, *channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def with_another_golden_value(bundle: Path, tmp_path: Path, added: float) -> Path:
    """A copy of `bundle` in which one expected value of "noise" is `added` larger."""
    changed = Path(shutil.copytree(bundle, tmp_path / "changed"))
    expected = np.fromfile(changed / "golden/noise.f32", "<f4")
    expected[5] += added
    expected.tofile(changed / "golden/noise.f32")
    return changed


def check_all_vectors_pass(result: Done) -> None:
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["fp32"] * 3 + ["uint8-io"] * 3
    assert all(line.endswith(" passes") for line in lines)


def check_windowed_vectors_pass(result: Done) -> None:
    """Of each variant the free file and that of windows, smaller than some of the vectors."""
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    names = ["fp32", "uint8-io", "fp32-20x14", "uint8-io-20x14"]
    assert [line.split()[0] for line in lines] == [name for name in names for _ in range(3)]
    assert all(line.endswith(" passes") for line in lines)


def check_windowed_pixels(bundle: Path, small: np.ndarray, variant: str, big: np.ndarray) -> int:
    """How far `big` is from what the upscaler makes by the file of windows; where a picture is no
    smaller than these, it is the picture in one piece, too."""
    if small.shape[0] >= 14 and small.shape[1] >= 20:
        whole = Upscaler(bundle, variant=variant, threads=1)(small)
        assert np.abs(big.astype(int) - whole).max() <= 1
    expected = Upscaler(bundle, variant=f"{variant}-20x14", threads=1)(small)
    assert big.shape == expected.shape
    return int(np.abs(big.astype(int) - expected).max())


def check_noise_fails(result: Done) -> None:
    assert result.returncode == 1
    failed = [line for line in result.stdout.splitlines() if line.endswith(" FAILS")]
    assert [line.partition(":")[0] for line in failed][:1] == ["fp32 noise"]


def check_variant_is_refused(result: Done) -> None:
    assert result.returncode == 1
    assert result.stderr == "error: no variant int4, only fp32, uint8-io\n"


def check_figures(result: Done, bundle: Path) -> None:
    """What was printed is device.json of all files of `bundle`, timed."""
    assert (result.returncode, result.stderr) == (0, "")
    check_device(result.stdout, bundle)


def check_device(text: str, bundle: Path) -> None:
    """`text` is device.json of all files of `bundle`, timed, a file of one size at that."""
    card, device = read_card(bundle), Device.model_validate_json(text)
    assert (device.bundle, device.device) == (card.name, 'A "phone"')
    assert {row.variant: row.sha256 for row in device.files} == {
        variant: card.sha256[facts.file] for variant, facts in card.variants.items()
    }
    for row in device.files:
        assert list(row.golden) == ["photograph", "noise", "checkerboard"]
        assert row.size == (parse(row.variant).window or "128x128")
        assert row.p50_ms
