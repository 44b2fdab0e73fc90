"""A narrower network that begins from a wide one: which channels hang together, which stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.models.srgan import Generator
from edgesr.recipe import Edge, Model, Spandrel, Srgan
from edgesr.training.channels import channels_of
from edgesr.training.initialise import find_start
from edgesr.training.prune import prune
from edgesr.workspace import Workspace

COMPACT = {"num_feat": 8, "num_conv": 3}
RCAN = {"n_feats": 8, "n_resblocks": 1, "n_resgroups": 1, "reduction": 4}
SPAN = {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8}


@pytest.fixture
def photographs() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(1, 3, 24, 16, generator=generator), torch.rand(1, 3, 96, 64)) for _ in "ab"]


def saved(spec: Model, folder: Path) -> zoo.SRModel:
    torch.manual_seed(1)
    zoo.save(zoo.build(spec), folder / "wide.safetensors", licence="MIT")
    return zoo.load(folder / "wide.safetensors")


def narrower(spec: Model) -> Model:
    """Half as wide."""
    if not isinstance(spec, Spandrel):
        return spec.model_copy(update={"channels": spec.channels // 2})
    widths = ("num_feat", "n_feats", "feature_channels")
    halved = {key: 4 if key in widths else value for key, value in spec.parameters.items()}
    return spec.model_copy(update={"parameters": halved})


@pytest.mark.parametrize(
    "wide",
    [
        Srgan(blocks=2, channels=6),
        Srgan(scale=3, blocks=1, channels=6, prelu="channel", output="tanh"),
        Edge(channels=6, depth=2, branches=["expand", "identity"]),
        Spandrel(name="Compact", parameters=COMPACT),
        Spandrel(name="RCAN", parameters=RCAN),
        Spandrel(name="SPAN", parameters=SPAN),
    ],
    ids=lambda each: getattr(each, "name", each.arch) + f"-x{each.scale}",
)
def test_what_is_pruned_is_the_wide_network_with_channels_at_zero(
    wide: Model, tmp_path: Path, photographs: list[tuple[Tensor, Tensor]]
) -> None:
    """`prune` proves it and raises where it is not."""
    source, narrow = saved(wide, tmp_path), zoo.build(narrower(wide))
    large = [(lr, hr[..., : source.scale * 24, : source.scale * 16]) for lr, hr in photographs]
    start = torch.nn.utils.parameters_to_vector(narrow.parameters()).clone()
    prune(narrow, source, large)
    assert narrow.training
    assert not torch.nn.utils.parameters_to_vector(narrow.parameters()).equal(start)


def test_channels_that_nothing_depends_on_go_first(
    tmp_path: Path, photographs: list[tuple[Tensor, Tensor]]
) -> None:
    """Of every kind, half is made idle, wherever it stands; the picture stays as it was."""
    spec = Srgan(blocks=2, channels=8)
    source = saved(spec, tmp_path)
    found = channels_of(source.module, source.module, torch.rand(1, 3, 8, 8))
    convs = dict(source.module.named_modules())
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for channels in found.values():
            for n in torch.randperm(len(channels), generator=generator)[: len(channels) // 2]:
                for name, dim, at in channels[int(n)]:
                    if dim == 1:
                        conv = convs[name.removesuffix(".weight")]
                        assert isinstance(conv, nn.Conv2d)
                        conv.weight[:, at] = 0
    narrow = zoo.build(narrower(spec))
    prune(narrow, source, photographs)
    lr, _ = photographs[0]
    assert torch.allclose(narrow.eval()(lr), source.module(lr), atol=1e-5)


def test_what_a_sum_and_a_pixel_shuffle_join_is_one_channel() -> None:
    """Of x4, the residual stream is one kind; each up-sampling brings four to one."""
    module = Generator(Srgan(blocks=2, channels=4))
    found = channels_of(module, module, torch.rand(1, 3, 8, 8))
    assert module.training
    kinds = {frozenset(name for name, _ in kind): channels for kind, channels in found.items()}
    (stream,) = [names for names in kinds if "head.conv.weight" in names]
    assert {"body.0.conv1.weight", "body.1.bn2.weight", "fusion.conv.weight"} < stream
    assert {"upsample.0.conv.weight"} < stream
    assert len(kinds[stream]) == 4
    (shuffled,) = [
        channels
        for channels in kinds.values()
        if channels[0][-1][0] == "upsample.1.conv.weight"
        and channels[0][0][0] == "upsample.0.conv.bias"
    ]
    assert [place[2] for place in shuffled[1] if place[0] == "upsample.0.conv.bias"] == [4, 5, 6, 7]


def test_a_network_that_normalises_over_its_channels_is_refused(
    tmp_path: Path, photographs: list[tuple[Tensor, Tensor]]
) -> None:
    spec = Spandrel(name="SAFMN", parameters={"dim": 16, "n_blocks": 1})
    narrow = spec.model_copy(update={"parameters": {"dim": 8, "n_blocks": 1}})
    with pytest.raises(ModelError, match="channels of SAFMN cannot be removed: model"):
        prune(zoo.build(narrow), saved(spec, tmp_path), photographs)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (Srgan(blocks=1, channels=6), Srgan(blocks=1, channels=4)),
        (Edge(channels=6, depth=2), Edge(channels=4, depth=2, branches=["point"])),
        (
            Spandrel(name="Compact", parameters=COMPACT),
            Spandrel(name="Compact", parameters=COMPACT | {"num_feat": 4}),
        ),
    ],
)
def test_fewer_channels_alone_are_a_start(wide: Model, narrow: Model, workspace: Workspace) -> None:
    path = str(saved(wide, workspace.root).path)
    assert find_start(narrow, path, None, workspace).way == "pruned"
    more = {"channels": 8} if not isinstance(wide, Spandrel) else {"scale": 2}
    with pytest.raises(ModelError):
        find_start(narrow.model_copy(update=more), path, None, workspace)
