"""The low-resolution student and the exact collapse of its branches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgesr.models.edge import EdgeStudent, RepConv
from edgesr.recipe import Edge

BRANCHES = st.lists(st.sampled_from(["expand", "point", "identity"]), unique=True)


@settings(deadline=None, max_examples=40)
@given(
    n_in=st.integers(1, 9),
    n_out=st.integers(1, 9),
    branches=BRANCHES,
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_collapse_is_exact_for_any_branches_widths_and_one_pixel_borders(
    n_in: int, n_out: int, branches: list[str], height: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = RepConv(n_in, n_out, branches)
    x = torch.randn(2, n_in, height, width)
    assert (layer(x) - layer.collapse()(x)).abs().max() <= 2e-5
    double = layer.double()
    assert (double(x.double()) - double.collapse()(x.double())).abs().max() <= 1e-12


def test_a_student_of_zeros_is_nearest_neighbour() -> None:
    student = EdgeStudent(Edge(channels=2, depth=1))
    for parameter in student.parameters():
        torch.nn.init.zeros_(parameter)
    lr = torch.rand(1, 3, 3, 5)
    expected = lr.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert torch.equal(student(lr), expected)


def test_the_signal_does_not_fade_from_layer_to_layer() -> None:
    # With PyTorch's default initialisation it does, and the student stays at its anchor.
    torch.manual_seed(0)
    student = EdgeStudent(Edge(channels=48, depth=12))
    _, features = student.with_features(torch.rand(1, 3, 16, 16))
    assert 0.1 < features.std() < 10


def test_weights_whose_head_has_branches_still_load() -> None:
    torch.manual_seed(0)
    spec = Edge(channels=8, depth=1, branches=["expand", "point"])
    before, after = EdgeStudent(spec), EdgeStudent(spec)
    before.head = RepConv(3, 8, ["expand", "point"])
    after.load_state_dict(before.state_dict())
    lr = torch.rand(1, 3, 6, 5)
    assert torch.allclose(after(lr), before(lr), atol=1e-6)


def test_brightness_closes_no_channel_for_good() -> None:
    # It did where the head's filters did not sum to zero: those channels never learned anything.
    torch.manual_seed(0)
    student = EdgeStudent(Edge(channels=48, depth=1))
    features = student.head(0.8 + 0.05 * torch.randn(1, 3, 16, 16))[:, :, 1:-1, 1:-1]
    share = (features > 0).float().mean((0, 2, 3))
    assert 0.3 < share.min() < share.max() < 0.7


def test_a_width_of_48_adds_no_features_to_the_picture() -> None:
    # The last convolution makes 48 channels of 48 there, but an identity beside it makes no sense.
    student = EdgeStudent(Edge(channels=48, depth=1, branches=["identity"]))
    for parameter in student.tail.parameters():
        torch.nn.init.zeros_(parameter)
    lr = torch.rand(1, 3, 3, 5)
    assert torch.equal(student(lr), torch.nn.functional.interpolate(lr, scale_factor=4))


def test_halo_is_what_gradients_reach(receptive_radius: Callable[[nn.Module], int]) -> None:
    student = EdgeStudent(Edge(channels=6, depth=3))
    assert receptive_radius(student) == student.halo == 5


def test_width_and_depth_come_from_the_recipe() -> None:
    student = EdgeStudent(Edge(channels=32, depth=8))
    macs = sum(p.numel() for name, p in student.named_parameters() if name.endswith("weight"))
    assert macs == 88_416  # multiply-adds per LR pixel: each weight once


def test_a_student_without_its_branches_is_the_same_function() -> None:
    student = EdgeStudent(Edge(channels=8, depth=2, branches=["expand", "point", "identity"]))
    plain = student.collapsed()
    assert plain.spec == Edge(channels=8, depth=2)
    lr = torch.rand(2, 3, 1, 7)
    torch.testing.assert_close(plain(lr), student(lr))
