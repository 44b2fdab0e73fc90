"""Every rewrite is the same function, for any width, kernel, factor and border."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from edgesr.models import zoo
from edgesr.models.edge import Anchored
from edgesr.models.rewrite import AnchoredFirst, before_shuffle, before_shuffle_conv, deployable
from edgesr.recipe import Edge, Rewrites, Srgan

SIDE = st.integers(1, 6)


@settings(deadline=None, max_examples=60)
@given(
    n_in=st.integers(1, 5),
    n_out=st.integers(1, 4),
    k=st.sampled_from([1, 3, 5, 7, 9]),
    r=st.integers(1, 4),
    per_channel=st.booleans(),
    height=SIDE,
    width=SIDE,
    seed=st.integers(0, 99),
)
def test_shuffle_activation_convolution_moves_to_the_low_resolution_side(
    n_in: int, n_out: int, k: int, r: int, per_channel: bool, height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv2d(n_in, n_out, k, padding=k // 2)
    act = nn.PReLU(n_in if per_channel else 1)
    nn.init.uniform_(act.weight, -0.5, 0.5)
    x = torch.randn(2, n_in * r**2, height, width)
    for dtype, allowed in ((torch.float32, 2e-5), (torch.float64, 1e-12)):
        conv, act, x = conv.to(dtype), act.to(dtype), x.to(dtype)
        expected = conv(act(F.pixel_shuffle(x, r)))
        found = F.pixel_shuffle(before_shuffle_conv(conv, r)(before_shuffle(act, r)(x)), r)
        assert (found - expected).abs().max() <= allowed


SWITCHES = ("fold_batch_norm", "leaky_relu", "prelu_before_shuffle", "low_resolution_tail")


@pytest.mark.parametrize("prelu", ["layer", "channel"])
@pytest.mark.parametrize("on", list(itertools.product([False, True], repeat=4)), ids=str)
def test_every_choice_of_rewrites_keeps_the_generator(prelu: str, on: tuple[bool, ...]) -> None:
    torch.manual_seed(0)
    spec = Srgan.model_validate({"blocks": 2, "channels": 5, "prelu": prelu, "output": "tanh"})
    module = zoo.build(spec)
    for _ in range(3):  # give batch normalisation statistics of its own
        module.train()(torch.rand(4, 3, 12, 12))
    assert_same(module.eval(), Rewrites(**dict(zip(SWITCHES, on, strict=True))))


def assert_same(module: zoo.Student, rewrites: Rewrites) -> None:
    double = copy.deepcopy(module).double()
    for height, width in ((1, 1), (7, 1), (9, 12)):
        lr = torch.rand(2, 3, height, width)
        assert (deployable(module, rewrites)(lr) - module(lr)).abs().max() <= 2e-5
        exact = deployable(double, rewrites)(lr.double()) - double(lr.double())
        assert exact.abs().max() <= 1e-12


@settings(deadline=None, max_examples=20)
@given(
    channels=st.integers(1, 6),
    depth=st.integers(1, 3),
    branches=st.sets(st.sampled_from(["expand", "point", "identity"])),
    collapse_branches=st.booleans(),
    low_resolution_anchor=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_choice_of_rewrites_keeps_the_edge_student(
    channels: int,
    depth: int,
    branches: set[str],
    collapse_branches: bool,
    low_resolution_anchor: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    spec = {"channels": channels, "depth": depth, "branches": sorted(branches)}
    module = zoo.build(Edge.model_validate(spec)).eval()
    for parameter in module.parameters():  # biases among them, which start at zero
        nn.init.normal_(parameter, std=0.1)
    on = {
        "collapse_branches": collapse_branches,
        "low_resolution_anchor": low_resolution_anchor,
    }
    assert_same(module, Rewrites(**on))


def test_the_anchor_is_added_where_the_switch_says_bit_for_bit() -> None:
    torch.manual_seed(0)
    module = zoo.build(Edge(channels=4, depth=1)).eval()
    nn.init.normal_(module.tail.conv.weight)
    lr = torch.rand(2, 3, 5, 7)
    before, behind = (
        deployable(module, Rewrites(low_resolution_anchor=on)) for on in (True, False)
    )
    assert torch.equal(before(lr), behind(lr))
    assert [type(network.get_submodule("end")) for network in (before, behind)] == [
        AnchoredFirst,
        Anchored,
    ]


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


def test_switches_do_what_they_name() -> None:
    module = zoo.build(Srgan(blocks=1, channels=4)).eval()
    off = dict.fromkeys(SWITCHES, False)
    assert "LeakyReLU" not in kinds(deployable(module, Rewrites(**off)))
    on = deployable(module, Rewrites())
    assert "PReLU" not in kinds(on)
    assert "BatchNorm2d" not in kinds(on)
    assert kinds(on)[-2:] == ["Conv2d", "PixelShuffle"]
    assert kinds(deployable(module, Rewrites(**off)))[-1] == "Conv2d"
    assert kinds(deployable(module, Rewrites(**off))).count("BatchNorm2d") == 3
    branched = zoo.build(Edge(channels=4, depth=1, branches=["expand", "point", "identity"]))
    apart = deployable(branched, Rewrites(collapse_branches=False))
    for network, convolutions in ((apart, 1 + 2 * 4), (deployable(branched, Rewrites()), 3)):
        assert kinds(network).count("Conv2d") == convolutions


def test_the_papers_tail_becomes_a_5x5_convolution_of_256_to_12_channels() -> None:
    moved = before_shuffle_conv(nn.Conv2d(64, 3, 9, padding=4), 2)
    assert moved.weight.shape == (12, 256, 5, 5)


@pytest.mark.parametrize("spec", [Srgan(blocks=1, channels=4), Edge(channels=4, depth=1)], ids=str)
def test_a_clip_is_added_only_when_asked_for(spec: Srgan | Edge) -> None:
    module = zoo.build(spec).eval()
    lr = 20 * torch.randn(1, 3, 6, 6)
    plain, clipped = (deployable(module, Rewrites(clip=clip))(lr) for clip in (False, True))
    assert plain.max() > 1
    assert torch.equal(clipped, plain.clamp(0, 1))
