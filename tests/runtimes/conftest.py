"""Two tiny networks as ONNX files, with what PyTorch makes of the parity grid."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import torch

from edgesr.deploy.export import export_onnx
from edgesr.deploy.half import to_fp16
from edgesr.deploy.heldout import Pair
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Srgan
from edgesr.runtimes.base import Runtime
from edgesr.verify.jobs import float_run
from edgesr.verify.parity import Expected, expected, parity

SPECS = {
    "edge": Edge(channels=4, depth=1),
    "srgan": Srgan(blocks=1, channels=4, prelu="channel"),
}


class Network(NamedTuple):
    """A file, and the grid through the module that it was exported from."""

    file: Path
    references: list[Expected]

    def parity(self, runtime: Runtime, *, exact: bool = True) -> dict:
        """The parity grid on a runtime."""
        return self._parity(runtime, self.file, "float32", exact)

    def half_parity(self, runtime: Runtime, half: Path) -> dict:
        """The same on a file with float16 ends."""
        return self._parity(runtime, half, "float16", exact=True)

    def _parity(self, runtime: Runtime, file: Path, dtype: str, exact: bool) -> dict:
        running = runtime.open(file, threads=1, exact=exact)
        try:
            return parity(self.references, float_run(running, dtype))
        finally:
            running.close()


@pytest.fixture(scope="session", params=list(SPECS))
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """With nearest resize and PixelShuffle(4); with per-channel PReLU and two PixelShuffle(2)."""
    torch.manual_seed(0)
    module = zoo.build(SPECS[request.param]).eval()
    path = tmp_path_factory.mktemp("runtimes") / "model.onnx"
    export_onnx(module, path, Export(), metadata={})
    return Network(path, expected(module))


@pytest.fixture
def half(network: Network, tmp_path: Path) -> Path:
    """The same network as a file that takes and gives float16."""
    lr = np.random.default_rng(0).random((1, 3, 16, 12), dtype=np.float32)
    pairs = [Pair("noise", np.zeros((64, 48, 3), np.uint8), lr)]
    model, _ = to_fp16(onnx.load(network.file), pairs, "float16")
    onnx.save(model, tmp_path / "model.fp16.onnx")
    return tmp_path / "model.fp16.onnx"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file that is not a model."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    return path
