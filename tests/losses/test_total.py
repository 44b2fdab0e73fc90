"""The weighted sum of equations 1, 3 and 6, its terms, and the proof that each trains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from edgesr.errors import TrainingError
from edgesr.losses.adversarial import discriminator_loss, generator_loss
from edgesr.losses.content import BT601, l1, lattice, luma_l1, ssim_loss
from edgesr.losses.distillation import feature_affinity, frequency, spatial_affinity
from edgesr.losses.total import GeneratorLoss, Outputs, choose, prove_gradients
from edgesr.metrics import luma, ssim
from edgesr.recipe import Losses


def outputs(seed: int = 0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    sr = noise(2, 3, 16, 16).requires_grad_()
    features = noise(2, 5, 4, 4).requires_grad_()
    return Outputs(sr, noise(2, 3, 16, 16), 4, features, noise(2, 3, 16, 16), noise(2, 7, 4, 4))


def test_equation_5_is_the_mean_absolute_difference() -> None:
    assert l1(torch.tensor([[-0.25, 0.75]])) == 0.5


def test_luma_is_the_channel_that_psnr_is_stated_on() -> None:
    generator = np.random.default_rng(0)
    sr, hr = generator.integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    error = (sr.astype(float) - hr) / 255
    loss = luma_l1(torch.from_numpy(error).permute(2, 0, 1)[None])
    assert loss.item() == pytest.approx(np.abs(luma(sr) - luma(hr)).mean() / 219)


def test_a_change_of_hue_alone_is_no_difference_of_luma() -> None:
    tint = torch.tensor([0.1 / BT601[0], -0.1 / BT601[1], 0.0]).view(1, 3, 1, 1)
    assert luma_l1(tint).item() == pytest.approx(0, abs=1e-6)
    assert l1(tint) > 0.1


def test_the_ssim_term_is_one_less_the_ssim_that_is_stated() -> None:
    generator = np.random.default_rng(0)
    hr = np.linspace(0, 255, 13 * 17 * 3).reshape(1, 13, 17, 3).repeat(2, 0)
    pictures = np.stack([hr, hr + generator.normal(0, 20, hr.shape)]).clip(0, 255).astype(np.uint8)
    sr, hr = pictures
    stated = np.mean([ssim(one, other, 0) for one, other in zip(sr, hr, strict=True)])
    one, other = torch.from_numpy(pictures).permute(0, 1, 4, 2, 3) / 255
    assert 0.3 < stated < 0.97
    assert ssim_loss(one, other).item() == pytest.approx(1 - stated, abs=1e-6)
    assert ssim_loss(one, one).item() == pytest.approx(0, abs=1e-6)


def test_equations_2_and_7_are_the_logarithms_of_probabilities() -> None:
    real, fake = torch.tensor([[1.5]]), torch.tensor([[-0.5]])
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    assert generator_loss(fake).item() == pytest.approx(-math.log(d_fake))
    expected = -math.log(d_real) - math.log(1 - d_fake)
    assert discriminator_loss(real, fake).item() == pytest.approx(expected)


def test_a_confident_discriminator_does_not_make_the_loss_infinite() -> None:
    assert torch.isfinite(generator_loss(torch.tensor([[-1e4]])))
    assert torch.isfinite(discriminator_loss(torch.tensor([[-1e4]]), torch.tensor([[1e4]])))


def test_affinity_compares_features_of_different_width() -> None:
    student, teacher = torch.rand(2, 3, 4, 5), torch.rand(2, 8, 4, 5)
    assert spatial_affinity(student).shape == (2, 20, 20)
    assert feature_affinity(student, teacher) > 0


def test_affinity_ignores_the_scale_of_the_features() -> None:
    features = torch.rand(1, 3, 4, 4)
    assert feature_affinity(features, 7 * features).item() == pytest.approx(0, abs=1e-6)


def test_frequency_loss_sees_a_checkerboard_that_has_no_mean() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5)
    board = flat + 0.5 * (torch.arange(8)[:, None] + torch.arange(8)).remainder(2) - 0.25
    assert frequency(board, flat) > 0
    assert frequency(flat, flat) == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lattice_loss_sees_what_repeats_and_neither_a_tint_nor_detail(scale: int) -> None:
    side = 16 * scale
    comb = (torch.arange(side) % scale == 0).float().expand(1, 3, side, side)
    assert lattice(0.1 * comb, scale) == pytest.approx(0.1 * 2 * (scale - 1) / scale**2, rel=1e-5)
    assert lattice(torch.full((1, 3, side, side), 0.1), scale) == pytest.approx(0, abs=1e-7)
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    assert lattice(noise, scale) < l1(noise) / 5


def test_total_is_the_weighted_sum_of_the_terms_that_have_a_weight() -> None:
    weights = {"l1": 2.0, "luma": 0.7, "ssim": 0.4, "teacher_l1": 0.5, "teacher_luma": 0.3}
    losses = Losses(**weights, feature_affinity=0.1, frequency=0.2)
    loss, out = GeneratorLoss(losses), outputs()
    terms = loss.terms(out)
    assert list(terms) == [*weights, "feature_affinity", "frequency"]
    assert out.teacher_sr is not None
    assert out.teacher_features is not None
    to_hr, to_teacher = out.sr - out.hr, out.sr - out.teacher_sr
    expected = 2.0 * l1(to_hr) + 0.5 * l1(to_teacher)
    expected = expected + 0.7 * luma_l1(to_hr) + 0.3 * luma_l1(to_teacher)
    expected = expected + 0.4 * ssim_loss(out.sr, out.hr)
    expected = expected + 0.1 * feature_affinity(out.features, out.teacher_features)
    expected = expected + 0.2 * frequency(out.sr, out.teacher_sr)
    assert loss.total(terms).item() == pytest.approx(expected.item(), rel=1e-6)


def test_both_compares_with_ground_truth_and_teacher() -> None:
    out = outputs()
    assert choose("hr", out.hr, None) == [out.hr]
    assert out.teacher_sr is not None
    assert choose("both", out.hr, out.teacher_sr) == [out.hr, out.teacher_sr]
    with pytest.raises(AssertionError):
        choose("teacher", out.hr, None)


@pytest.mark.parametrize("against", ["hr", "teacher", "both"])
def test_the_frequency_term_compares_with_what_the_recipe_names(against: str) -> None:
    losses = Losses.model_validate({"l1": 0.0, "frequency": 1.0, "frequency_against": against})
    out = outputs()
    assert out.teacher_sr is not None
    to_hr, to_teacher = frequency(out.sr, out.hr), frequency(out.sr, out.teacher_sr)
    expected = {"hr": to_hr, "teacher": to_teacher, "both": (to_hr + to_teacher) / 2}[against]
    assert torch.allclose(GeneratorLoss(losses).terms(out)["frequency"], expected)


def test_proof_gives_the_norm_of_each_weighted_gradient() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    term = (weight**2).sum() / 2
    norms = prove_gradients({"l1": term}, [weight], Losses(l1=0.5), "student")
    assert norms == {"l1": pytest.approx(2.5)}


def test_a_term_wrapped_in_a_fresh_tensor_is_found_out() -> None:
    # The defect that this guards against was seen in public code: a content loss detached by
    # torch.tensor(loss) logs fine and trains nothing.
    weight = nn.Parameter(torch.ones(2))
    dead = (weight**2).sum().detach()
    with pytest.raises(TrainingError, match=r"vgg \(norm 0\)"):
        prove_gradients({"l1": weight.sum(), "vgg": dead}, [weight], Losses(vgg=1.0), "student")


def test_a_term_that_reaches_other_parameters_only_is_found_out() -> None:
    mine, others = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    with pytest.raises(TrainingError, match="give the student no usable gradient: l1"):
        prove_gradients({"l1": others.sum()}, [mine], Losses(), "student")


def test_a_gradient_that_is_not_finite_is_found_out() -> None:
    weight = nn.Parameter(torch.zeros(1))
    with pytest.raises(TrainingError, match=r"l1 \(norm inf\)"):
        prove_gradients({"l1": weight.sqrt().sum()}, [weight], Losses(), "student")
