"""A dozen architectures that spandrel knows, tiny and with random weights, exported as bundles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from spandrel.architectures.DAT.__arch.DAT import DAT
from spandrel.architectures.DITN.__arch.DITN_Real import DITN_Real
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
from spandrel.architectures.MoSR.__arch.mosr_arch import MoSR
from spandrel.architectures.OmniSR.__arch.OmniSR import OmniSR
from spandrel.architectures.PLKSR.__arch.RealPLKSR import RealPLKSR
from spandrel.architectures.RCAN.__arch.rcan_arch import RCAN
from spandrel.architectures.RealCUGAN.__arch.upcunet_v3 import UpCunet2x
from spandrel.architectures.SAFMN.__arch.safmn import SAFMN
from spandrel.architectures.SeemoRe.__arch.seemore_arch import SeemoRe
from spandrel.architectures.SPAN.__arch.span import SPAN
from spandrel.architectures.SwiftSRGAN.__arch.SwiftSRGAN import Generator
from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR
from torch import nn

from edgesr.bundle.card import read_card
from edgesr.bundle.check import check, open_on_cpu
from edgesr.deploy.foreign import export_file
from edgesr.errors import ExportError
from edgesr.inference.padding import fitting
from edgesr.models import zoo
from edgesr.workspace import Workspace

Made = Callable[[], nn.Module]
RIGHT: dict[str, tuple[Made, int, int, int, int | None]] = {
    "Compact": (lambda: SRVGGNetCompact(num_feat=8, num_conv=2, upscale=4), 4, 1, 1, 4),
    "SPAN": (lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2), 2, 1, 1, 29),
    "SAFMN": (lambda: SAFMN(dim=8, n_blocks=1, upscaling_factor=3), 3, 8, 1, 24),
    "ESRGAN": (lambda: RRDBNet(num_filters=8, num_blocks=1, scale=4), 4, 1, 2, 19),
    "RealCUGAN": (UpCunet2x, 2, 2, 32, None),
    "RCAN": (
        lambda: RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=8, reduction=4),
        *(2, 1, 1, None),
    ),
    "SwiftSRGAN": (lambda: Generator(num_channels=8, num_blocks=1, upscale_factor=4), 4, 1, 1, 10),
    "RealPLKSR": (lambda: RealPLKSR(dim=8, n_blocks=1, upscaling_factor=2), 2, 1, 1, None),
    "MoSR": (lambda: MoSR(upscale=2, n_block=1, dim=8), 2, 1, 1, 9),
    "DITN": (
        lambda: DITN_Real(dim=8, ITL_blocks=1, SAL_blocks=1, upscale=2, patch_size=8),
        *(2, 8, 1, 16),
    ),
    "OmniSR": (lambda: OmniSR(num_feat=8, up_scale=2), 2, 8, 16, None),
    "SwinIR": (
        lambda: SwinIR(
            img_size=16,
            embed_dim=8,
            depths=[2],
            num_heads=[2],
            window_size=4,
            mlp_ratio=1,
            upscale=2,
            upsampler="pixelshuffledirect",
        ),
        *(2, 8, 16, 16),
    ),
    "SeemoRe": (
        lambda: SeemoRe(scale=2, num_experts=2, num_layers=1, embedding_dim=8),
        *(2, 1, 16, None),
    ),
}
"""Name -> network; scale, multiple, least side, halo (None: it sees the whole picture)."""


def save(network: nn.Module, folder: Path) -> Path:
    path = folder / "theirs.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning")
@pytest.mark.filterwarnings("ignore:'saved_variables' is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", RIGHT)
def test_it_is_exported_with_what_it_takes_and_does_what_pytorch_does(
    name: str, workspace: Workspace
) -> None:
    torch.manual_seed(0)
    make, scale, multiple, least, halo = RIGHT[name]
    path = save(make(), workspace.root)
    folder = export_file(path, workspace, name=name, licence="MIT")
    card = read_card(folder)
    assert (card.scale, card.multiple, card.min_size) == (scale, multiple, least)
    assert (card.tileable, card.halo) == (halo is not None, halo or 0)
    assert all(row.passed for row in check(folder))
    module, session = zoo.load(path).module, open_on_cpu(folder / "model.onnx")
    lr = np.random.default_rng(0).random((1, 3, 37, 45), np.float32)
    with torch.no_grad():
        expected, found = (
            fitting(run, (2, 3), multiple, least)(lr)
            for run in (
                lambda values: module(torch.from_numpy(values)).numpy(),
                lambda values: session.run(None, {"lr": values})[0],
            )
        )
    assert found.shape == (1, 3, 37 * scale, 45 * scale)
    assert np.abs(found - expected).max() <= 1e-4


@pytest.mark.filterwarnings("ignore:Initializing zero-element:UserWarning")
def test_one_that_has_no_graph_is_told_what_was_tried_and_what_else_there_is(
    workspace: Workspace,
) -> None:
    network = DAT(
        img_size=16,
        embed_dim=16,
        depth=[1],
        num_heads=[2],
        split_size=[4, 4],
        upscale=2,
        expansion_factor=1,
        upsampler="pixelshuffledirect",
    )
    with pytest.raises(ExportError, match=r"\(DAT\) cannot be exported to ONNX: trace: ") as caught:
        export_file(save(network, workspace.root), workspace, licence="MIT")
    assert "export: " in caught.value.message
    assert "bundle make" in caught.value.remedy
