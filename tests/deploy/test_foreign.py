"""Networks of other projects as bundles; tiny ones, with random weights, built by spandrel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from spandrel.architectures.RCAN.__arch.rcan_arch import RCAN
from spandrel.architectures.SAFMN.__arch.safmn import SAFMN
from torch import nn

from edgesr import Upscaler
from edgesr.bundle.card import read_card
from edgesr.bundle.check import check
from edgesr.bundle.records.card import Card
from edgesr.deploy import stage as deploy
from edgesr.deploy.foreign import export_file
from edgesr.errors import DataError, ExportError, ModelError
from edgesr.models import zoo
from edgesr.recipe import Edge
from edgesr.verify import stage
from edgesr.workspace import Workspace


def compact() -> nn.Module:
    return SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2)


def pooling() -> nn.Module:
    return RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=8, reduction=4)


def pyramid() -> nn.Module:
    return SAFMN(dim=8, n_blocks=1, upscaling_factor=2)


def save(network: nn.Module, folder: Path) -> Path:
    path = folder / "theirs.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module", params=[compact, pooling, pyramid], ids=lambda each: each.__name__)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    make: Callable[[], nn.Module] = request.param
    root = tmp_path_factory.mktemp(make.__name__)
    path = save(make(), root)
    return export_file(path, Workspace(root), ("uint8-io",), name=make.__name__, licence="MIT")


def of(folder: Path, name: str) -> Card:
    if folder.name != name:
        pytest.skip(f"of {name} alone")
    return read_card(folder)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_bundle_is_whole_and_holds_its_golden_vectors(exported: Path) -> None:
    card = read_card(exported)
    assert card.spec is None
    assert (card.scale, card.licence) == (2, "MIT")
    assert all(row.passed for row in check(exported))


def test_its_weights_open_again_as_the_same_network(exported: Path) -> None:
    model = zoo.load(exported / "weights.safetensors")
    assert model.licence == "MIT"
    lr = noise(16, 24)
    with torch.no_grad():
        sr = model.module(torch.from_numpy(lr).permute(2, 0, 1)[None] / 255)[0]
    expected = np.floor(255 * sr.permute(1, 2, 0).numpy() + 0.5)
    assert np.abs(Upscaler(exported)(lr) - expected).max() <= 1


def test_verify_compares_with_the_stored_network_and_counts_in_the_graph(exported: Path) -> None:
    evidence = stage.verify(exported, quick=True)
    parity = {row.variant: row for row in evidence.parity}
    assert parity["fp32"].max_abs_diff <= 1e-4
    assert not parity["fp32"].unsupported
    network = zoo.load(exported / "weights.safetensors").module
    held = sum(each.numel() for each in network.parameters())
    if exported.name == "pooling":  # whose last convolution is in the file at low resolution
        held += 12 * (32 * 9 + 1) - 3 * (8 * 9 + 1)
    assert evidence.cost.total.parameters == pytest.approx(held, rel=0.1)
    assert evidence.cost.total.macs > 0


def test_a_halo_is_what_the_convolutions_add_up_to(exported: Path) -> None:
    card = of(exported, "compact")
    assert (card.halo, card.multiple, card.tileable) == (4, 1, True)


def test_pooling_with_a_grid_gets_a_halo_on_it(exported: Path) -> None:
    card = of(exported, "pyramid")
    assert card.tileable
    assert card.multiple == 8
    assert card.halo % 8 == 0


@pytest.mark.parametrize("size", [(150, 161), (40, 13)])
def test_tiles_make_the_whole_picture_at_any_size(exported: Path, size: tuple[int, int]) -> None:
    card = read_card(exported)
    lr = noise(*size)
    whole = Upscaler(exported, tile=512)(lr)
    assert whole.shape == (2 * size[0], 2 * size[1], 3)
    tiled = Upscaler(exported, tile=16)(lr)
    assert np.abs(tiled.astype(int) - whole).max() <= (1 if card.tileable else 0)


def test_a_network_that_sees_the_whole_picture_says_how_much_fits(exported: Path) -> None:
    assert not of(exported, "pooling").tileable
    with pytest.raises(DataError, match="sees the whole image") as caught:
        Upscaler(exported, memory="1MB")(noise(300, 300))
    assert "--memory" in caught.value.remedy


def test_it_is_made_again_with_the_files_that_it_has(exported: Path) -> None:
    card = of(exported, "compact")
    deploy.again(exported, Workspace(exported.parent.parent))
    assert list(read_card(exported).variants) == list(card.variants)
    assert read_card(exported).sha256 == card.sha256


def test_a_network_of_edgesr_is_not_taken_for_anothers(workspace: Workspace) -> None:
    path = workspace.root / "ours.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    with pytest.raises(ExportError, match="is edgesr's own"):
        export_file(path, workspace)


def test_a_licence_is_asked_for(workspace: Workspace) -> None:
    with pytest.raises(ExportError, match="does not state the licence") as caught:
        export_file(save(compact(), workspace.root), workspace)
    assert "--licence" in caught.value.remedy


def test_another_networks_bundle_is_not_replaced(exported: Path, tmp_path: Path) -> None:
    of(exported, "compact")
    other = save(compact(), tmp_path)
    with pytest.raises(ExportError, match="holds another network"):
        export_file(other, Workspace(exported.parent.parent), name="compact", licence="MIT")


def test_what_a_network_does_not_fit_is_left_out_and_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    network = compact()
    with torch.no_grad():
        # Features of 10^6, which half precision does not hold; the output stays what it was.
        network.body[0].weight.mul_(1e6)  # type: ignore[union-attr, operator]
        network.body[0].bias.mul_(1e6)  # type: ignore[union-attr, operator]
        network.body[2].weight.mul_(1e-6)  # type: ignore[union-attr, operator]
    folder = export_file(save(network, workspace.root), workspace, ("fp16",), licence="MIT")
    assert "fp16 is left out" in capsys.readouterr().err
    assert list(read_card(folder).variants) == ["fp32"]


def test_a_file_that_nobody_knows_is_told_by_its_first_keys(workspace: Workspace) -> None:
    path = workspace.root / "theirs.pth"
    torch.save({"sparkle.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=r"first keys are sparkle\.weight"):
        zoo.load(path)


def test_the_file_holds_its_contract_in_its_metadata(exported: Path) -> None:
    card = read_card(exported)
    model = onnx.load(exported / "model.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["edgesr.multiple"] == str(card.multiple)
    assert facts["edgesr.tileable"] == str(int(card.tileable))


def test_eight_bits_keep_to_the_same_limits_without_fine_tuning(workspace: Workspace) -> None:
    torch.manual_seed(0)
    settings = ["export.int8.images=2", "export.int8.min_channels=1"]
    path = save(compact(), workspace.root)
    folder = export_file(path, workspace, ("int8",), settings, name="eight", licence="MIT")
    facts = read_card(folder).variants["int8"].model_dump()
    assert facts["finetuned"] is False
    assert facts["psnr_loss_db_shipped"] <= 0.05
    assert all(row.passed for row in check(folder))
