from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr import weights
from edgesr.errors import WeightsError
from edgesr.losses.perceptual import (
    DEVIATION,
    MEAN,
    Perceptual,
    build_lpips,
    build_vgg_features,
)
from edgesr.recipe import Losses

LOAD = weights.load
VGG16_TWICE = Losses(vgg=1.0, vgg_network="vgg16", lpips=1.0, lpips_network="vgg16")


@pytest.fixture(autouse=True)
def random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of the right shape whose activations neither vanish nor explode."""

    def load(network: weights.Network, _: str) -> dict[str, Tensor]:
        generator, state = torch.Generator().manual_seed(7), {}
        for key, value in weights.skeleton(network).state_dict().items():
            gain = (2 / value[0].numel()) ** 0.5 if key.endswith("weight") else 0.1
            state[f"features.{key}"] = gain * torch.randn(value.shape, generator=generator)
        return state

    monkeypatch.setattr(weights, "load", load)


def pictures(count: int = 3, side: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(2, 3, side, side, generator=generator) for _ in range(count)]


def test_lpips_normalisation_is_imagenets() -> None:
    scaling = build_lpips("alexnet").scaling_layer
    torch.testing.assert_close((1 + scaling.shift.flatten()) / 2, torch.tensor(MEAN))
    torch.testing.assert_close(scaling.scale.flatten() / 2, torch.tensor(DEVIATION))


@pytest.mark.parametrize(("network", "side"), [("vgg16", 16), ("alexnet", 32)])
def test_lpips_equals_the_packages_own(network: weights.Network, side: int) -> None:
    sr, hr = pictures(2, side)
    module = build_lpips(network)
    terms = Perceptual(Losses(lpips=1.0, lpips_network=network)).terms(sr, hr)
    assert terms.keys() == {"lpips"}
    torch.testing.assert_close(terms["lpips"], module(sr, hr, normalize=True).mean())


def test_both_backbones_are_their_mean_and_vgg16_is_still_shared() -> None:
    sr, hr, teacher_sr = pictures()
    requested = VGG16_TWICE.model_copy(update={"lpips_against": "both"})
    value = {
        network: Perceptual(requested.model_copy(update={"lpips_network": network})).terms(
            sr, hr, teacher_sr
        )
        for network in ("vgg16", "alexnet", "both")
    }
    mean = (value["vgg16"]["lpips"] + value["alexnet"]["lpips"]) / 2
    torch.testing.assert_close(value["both"]["lpips"], mean)
    torch.testing.assert_close(value["both"]["vgg"], value["vgg16"]["vgg"])
    both = Perceptual(requested.model_copy(update={"lpips_network": "both"}))
    assert both.vgg is None


@pytest.mark.parametrize(("network", "width"), [("vgg16", 28), ("vgg19", 34)])
def test_vgg_ends_with_its_last_convolution_before_the_activation(
    network: weights.Network, width: int
) -> None:
    vgg = build_vgg_features(network)
    features = vgg(pictures(1)[0])
    assert features.shape == (2, 512, 2, 2)
    assert features.min() < 0
    assert len(vgg.features) == width + 1
    assert isinstance(vgg.features[-1], nn.Conv2d)


def test_vgg_term_is_the_mean_squared_difference_of_normalised_pictures_features() -> None:
    sr, hr = pictures(2)
    terms = Perceptual(Losses(vgg=1.0, vgg_network="vgg19")).terms(sr, hr)
    vgg = build_vgg_features("vgg19")
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    features = [vgg.features((picture - mean) / deviation) for picture in (sr, hr)]
    torch.testing.assert_close(terms["vgg"], ((features[0] - features[1]) ** 2).mean())


def test_the_shared_pass_has_the_values_and_gradients_of_separate_ones() -> None:
    # Networks in float64: in float32 a feature near zero falls on either side of its ReLU.
    sr, hr, teacher_sr = (picture.double() for picture in pictures())
    sr.requires_grad_()
    losses = VGG16_TWICE.model_copy(update={"lpips_against": "both"})
    perceptual = Perceptual(losses)
    for part in (perceptual.lpips["vgg16"].net, perceptual.lpips["vgg16"].scaling_layer):
        part.double()
    shared = perceptual.terms(sr, hr, teacher_sr)
    vgg, lpips = build_vgg_features("vgg16").double(), build_lpips("vgg16").double()
    distances = [lpips(sr, target, normalize=True).mean() for target in (hr, teacher_sr)]
    separate = {"vgg": F.mse_loss(vgg(sr), vgg(hr)), "lpips": torch.stack(distances).mean()}
    assert shared.keys() == separate.keys()
    for name, term in shared.items():
        torch.testing.assert_close(term.double(), separate[name], rtol=1e-5, atol=1e-8)
        ours, theirs = (
            torch.autograd.grad(t, sr, retain_graph=True)[0] for t in (term, separate[name])
        )
        assert ours.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize(("against", "passes"), [("hr", 2), ("teacher", 3), ("both", 3)])
def test_vgg16_runs_once_per_set_of_pictures(against: str, passes: int) -> None:
    perceptual = Perceptual(VGG16_TWICE.model_copy(update={"lpips_against": against}))
    assert perceptual.vgg is None
    count = []
    perceptual.lpips.vgg16.net.slice1[0].register_forward_hook(lambda *_: count.append(1))
    terms = perceptual.terms(*pictures())
    assert terms.keys() == {"vgg", "lpips"}
    assert len(count) == passes


def test_lpips_compares_with_what_the_recipe_names() -> None:
    sr, hr, teacher_sr = pictures(side=16)
    value = {}
    for against in ("hr", "teacher", "both"):
        perceptual = Perceptual(Losses(lpips=1.0, lpips_against=against))
        value[against] = float(perceptual.terms(sr, hr, teacher_sr)["lpips"])
        if against == "teacher":
            assert float(perceptual.terms(sr, teacher_sr, sr)["lpips"]) == 0
    assert value["hr"] != value["teacher"]
    assert value["both"] == pytest.approx((value["hr"] + value["teacher"]) / 2)


def test_no_gradient_flows_to_the_targets() -> None:
    sr, hr, teacher_sr = (picture.requires_grad_() for picture in pictures())
    perceptual = Perceptual(VGG16_TWICE.model_copy(update={"lpips_against": "both"}))
    sum(perceptual.terms(sr, hr, teacher_sr).values()).backward()
    assert sr.grad is not None
    assert hr.grad is None
    assert teacher_sr.grad is None
    assert all(parameter.grad is None for parameter in perceptual.parameters())


def test_training_mode_changes_nothing() -> None:
    perceptual = Perceptual(Losses(lpips=1.0, lpips_network="alexnet"))
    assert not any(isinstance(m, nn.Dropout) for m in perceptual.modules())
    assert not any(p.requires_grad or p.is_meta for p in perceptual.parameters())
    sr, hr = pictures(2)
    before = perceptual.terms(sr, hr)["lpips"]
    perceptual.train()
    assert perceptual.terms(sr, hr)["lpips"] == before


def test_building_prints_nothing_and_leaves_the_random_numbers_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = torch.get_rng_state()
    Perceptual(VGG16_TWICE)
    assert torch.equal(state, torch.get_rng_state())
    assert capsys.readouterr() == ("", "")


def test_a_position_without_any_activation_has_a_finite_gradient() -> None:
    perceptual = Perceptual(Losses(lpips=1.0, lpips_network="alexnet"))
    layers = perceptual.features(pictures(1)[0]).layers
    dead = [torch.zeros_like(layer, requires_grad=True) for layer in layers]
    perceptual.distance(dead, layers).backward()
    assert all(torch.isfinite(layer.grad).all() for layer in dead)


def test_terms_are_float32_under_autocast() -> None:
    sr, hr = pictures(2)
    perceptual = Perceptual(VGG16_TWICE)
    plain = perceptual.terms(sr, hr)
    with torch.autocast("cpu", torch.bfloat16):
        terms = perceptual.terms(sr, hr)
    for name, term in terms.items():
        assert term.dtype == torch.float32
        assert float(term) == pytest.approx(float(plain[name]), rel=0.05)


def test_missing_weights_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "load", LOAD)
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="vgg19 weights are missing"):
        Perceptual(Losses(vgg=1.0))


@pytest.mark.parametrize(("network", "phases"), [("alexnet", 16), ("vgg16", 1)])
def test_alexnet_which_looks_at_every_fourth_pixel_sees_each_of_them_in_turn(
    network: Any, phases: int
) -> None:
    perceptual = Perceptual(Losses(lpips=1.0, lpips_network=network))
    sr, hr = torch.rand(2, 1, 3, 40, 40)
    torch.manual_seed(0)
    found = {round(float(perceptual.terms(sr, hr)["lpips"]), 7) for _ in range(150)}
    assert len(found) == phases
