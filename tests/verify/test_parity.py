"""The parity grid: what it covers, and that it finds what differs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.errors import Unsupported, VerifyError
from edgesr.inference.tiling import to_bytes
from edgesr.models import zoo
from edgesr.recipe import Edge
from edgesr.verify.parity import Batch, Expected, bytes_off, expected, grid, parity


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return zoo.build(Edge(channels=4, depth=1)).eval()


@pytest.fixture
def references(module: nn.Module) -> list[Expected]:
    return expected(module)


def exact(module: nn.Module, lr: Batch) -> Batch:
    with torch.no_grad():
        sr: Batch = module(torch.from_numpy(lr)).numpy()
    return sr


def test_the_grid_covers_what_breaks_exports() -> None:
    cases = list(grid(4))
    shapes = {case.lr.shape for case in cases}
    assert {case.name for case in cases if not case.kind} == {
        *("photograph", "noise", "black", "white", "checkerboard")
    }
    assert [case.name for case in cases if case.kind not in ("", "flat")] == [
        *("photograph", "text", "drawing", "noise", "checkerboard")
    ]
    flat = {case.name for case in cases if case.kind == "flat"}
    assert {"flat 255,255,255", "flat 128,128,128", "flat 0,0,255"} <= flat
    assert (1, 3, 1, 1) in shapes  # the smallest
    assert any(h % 2 and w % 2 and h != w for _, _, h, w in shapes)  # odd, not square
    assert any(h > 24 and w > 32 for _, _, h, w in shapes)  # larger than traced
    assert {shape[0] for shape in shapes} == {1, 3}
    for case in cases:
        assert case.lr.dtype == np.float32
        assert case.lr.min() >= 0
        assert case.lr.max() <= 1


def test_a_batch_of_photographs_holds_different_ones() -> None:
    batch = next(c.lr for c in grid(4) if c.name == "photograph" and c.lr.shape[0] == 3)
    assert not np.array_equal(batch[0], batch[1])


def test_the_same_function_has_no_difference_and_no_finite_psnr(
    module: nn.Module, references: list[Expected]
) -> None:
    found = parity(references, lambda lr: exact(module, lr))
    assert found["max_abs_diff"] == 0
    assert found["max_pixels_changed"] == 0
    assert all(case["psnr_db"] is None for case in found["cases"])


def test_a_shift_of_one_grey_level_is_seen_in_every_measure(
    module: nn.Module, references: list[Expected]
) -> None:
    found = parity(references, lambda lr: exact(module, lr) + np.float32(1 / 255))
    assert found["max_abs_diff"] == pytest.approx(1 / 255, rel=1e-3)
    assert found["max_pixels_changed"] > 0.5
    assert found["cases"][0]["psnr_db"] == pytest.approx(48.13, abs=0.01)


def test_a_clipped_file_is_compared_with_the_clipped_network(module: nn.Module) -> None:
    """Against the unclipped one the difference was as large as what lies outside 0..1."""
    for parameter in module.parameters():
        parameter.data.mul_(3)
    references = expected(module)

    def clipped(lr: Batch) -> Batch:
        return np.clip(exact(module, lr), 0, 1)

    assert parity(references, clipped)["max_abs_diff"] > 0.05
    found = parity([reference.clipped() for reference in references], clipped)
    assert found["max_abs_diff"] == found["max_pixels_changed"] == 0
    assert found["flat_levels"] == 0
    assert set(found["kinds_db"].values()) == {IDENTICAL_DB}


def test_a_tint_and_a_kind_that_suffers_are_told_apart(
    module: nn.Module, references: list[Expected]
) -> None:
    kinds = {reference.case.lr.tobytes(): reference.case.kind for reference in references}

    def wrong(lr: Batch) -> Batch:
        sr, kind = exact(module, lr), kinds[lr.tobytes()]
        if kind == "text":
            sr = sr * np.float32(0.9)
        if kind == "flat":
            sr[:, 2] -= np.float32(5 / 255)  # white becomes yellow
        return sr

    found = parity(references, wrong)
    assert found["kinds_db"].pop("text") < 30
    assert set(found["kinds_db"].values()) == {IDENTICAL_DB}
    assert found["flat_levels"] == 5


def test_a_difference_in_one_case_only_is_the_worst_case(
    module: nn.Module, references: list[Expected]
) -> None:
    def odd(lr: Batch) -> Batch:
        return exact(module, lr) + np.float32(0.1 * (lr.shape[2] == 33))

    assert parity(references, odd)["max_abs_diff"] == pytest.approx(0.1, rel=1e-3)


def test_an_output_that_is_not_finite_is_an_error(
    module: nn.Module, references: list[Expected]
) -> None:
    with pytest.raises(VerifyError, match="photograph, 1x1, batch 1: the file gives values"):
        parity(references, lambda lr: exact(module, lr) * np.float32(np.nan))


def test_an_output_of_another_shape_is_an_error(
    module: nn.Module, references: list[Expected]
) -> None:
    with pytest.raises(VerifyError, match=r"PyTorch gives \(1, 3, 4, 4\), the file"):
        parity(references, lambda lr: exact(module, lr)[..., :-1])


def test_inputs_that_are_not_taken_are_named_with_the_reason(
    module: nn.Module, references: list[Expected]
) -> None:
    def single(lr: Batch) -> Batch:
        if lr.shape[0] > 1:
            raise Unsupported("one picture at a time")
        return exact(module, lr)

    found = parity(references, single)
    assert found["max_abs_diff"] == 0
    assert {case["batch"] for case in found["cases"]} == {1}
    assert len(found["cases"]) + len(found["unsupported"]) == len(references)
    assert {(c["batch"], c["reason"]) for c in found["unsupported"]} == {
        (3, "one picture at a time")
    }


def test_a_runtime_that_takes_no_input_is_an_error(references: list[Expected]) -> None:
    def none(_: Batch) -> Batch:
        raise Unsupported("no")

    with pytest.raises(VerifyError, match="no input of the parity grid was taken: no"):
        parity(references, none)


def test_for_a_file_of_bytes_inputs_and_outputs_are_bytes(module: nn.Module) -> None:
    references = expected(module, bytes_io=True)
    for reference in references:
        for values in (reference.case.lr, reference.sr):
            assert np.array_equal(to_bytes(values) / np.float32(255), values)

    def rounded(lr: Batch) -> Batch:
        return to_bytes(exact(module, lr)).astype(np.float32) / np.float32(255)

    assert parity(references, rounded)["max_abs_diff"] == 0
    assert bytes_off(references, rounded, lambda lr: exact(module, lr)) == 0


def test_bytes_that_are_one_level_off_are_all_counted(module: nn.Module) -> None:
    references = expected(module, bytes_io=True)[:1]

    def shifted(lr: Batch) -> Batch:
        return exact(module, lr) + np.float32(1 / 255)

    off = bytes_off(references, shifted, lambda lr: exact(module, lr))
    assert off == references[0].sr.size
