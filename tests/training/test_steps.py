"""One step: gradients in bfloat16 and in float32, and steps that must not be taken."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from edgesr.errors import TrainingError
from edgesr.losses.total import GeneratorLoss, Outputs
from edgesr.models import zoo
from edgesr.models.unet import UNetDiscriminator
from edgesr.recipe import Edge, GanLosses, Losses, Optimisation, Srgan
from edgesr.recipe.training import Arithmetic
from edgesr.training.precision import autocast, choose_float32
from edgesr.training.steps import Step, TrainedNetwork

SETTINGS = Optimisation(lr=1e-3)
TEACHER_TERMS = {"teacher_l1": 1.0, "teacher_luma": 1.0, "feature_affinity": 1.0, "frequency": 1.0}
PIXEL = Losses(luma=1.0, **TEACHER_TERMS)
GAN = GanLosses(luma=1.0, vgg=0.0, lpips=0.0, **TEACHER_TERMS)


def fabric(precision: str) -> Fabric:
    names: dict[str, Arithmetic] = {"bf16": "bf16-mixed", "fp16": "fp16-mixed", "fp32": "fp32"}
    return Fabric(accelerator="cpu", plugins=autocast(names[precision], "cpu"))


def teacher(folder: Path) -> zoo.SRModel:
    torch.manual_seed(7)
    zoo.save(zoo.build(Srgan(blocks=1, channels=8)), folder / "t.safetensors", licence="MIT")
    return zoo.load(folder / "t.safetensors")


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 64, 64, generator=generator)
    return nn.functional.avg_pool2d(hr, 4), hr


def step(precision: str, losses: Losses, model: zoo.SRModel | None) -> Step:
    """A step of a small edge student; with a judge where `losses` are those of the GAN stage."""
    used = fabric(precision)
    torch.manual_seed(3)
    student = TrainedNetwork.prepared(used, zoo.build(Edge(channels=8, depth=2)), SETTINGS)
    judge = None
    if losses.adversarial:
        judge = TrainedNetwork.prepared(used, UNetDiscriminator(channels=8), SETTINGS)
    return Step(used, student, GeneratorLoss(losses), model, judge)


def gradients(made: Step) -> dict[str, Tensor]:
    """The gradient of each term, all parameters of the student as one vector."""
    parameters = [p for p in made.student.module.parameters() if p.requires_grad]
    found = {}
    for name, term in made.terms(made.forward(*batch())).items():
        assert term.dtype == torch.float32, name
        each = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        found[name] = torch.cat([g.flatten() for g in each if g is not None])
    return found


@pytest.mark.parametrize("losses", [PIXEL, GAN], ids=["pixel", "gan"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_gradients_of_every_term_in_16_bits_point_where_they_do_in_float32(
    tmp_path: Path, precision: str, losses: Losses
) -> None:
    """Losses computed in bfloat16 had a cosine of .43 (feature affinity in the GAN stage)."""
    model = teacher(tmp_path)
    exact, rounded = (gradients(step(kind, losses, model)) for kind in ("fp32", precision))
    assert exact.keys() == rounded.keys()
    assert len(exact) >= 6
    for name, gradient in exact.items():
        cosine = float(cosine_similarity(gradient, rounded[name], dim=0))
        assert cosine > 0.98, (name, cosine)


def test_what_enters_a_network_is_not_rounded() -> None:
    """An edge student adds its input to its output: in bfloat16 that would lose 8-bit levels."""
    made = step("bf16", Losses(), None)
    nn.init.zeros_(made.student.module.tail.conv.weight)
    lr, hr = batch()
    assert torch.equal(made.forward(lr, hr).sr, nn.functional.interpolate(lr, scale_factor=4))


class Poisoned(GeneratorLoss):
    """A finite loss whose gradient is NaN: a root of zero."""

    def terms(self, out: Outputs, *_: Any) -> dict[str, Tensor]:
        return {"l1": (out.sr - out.sr.detach()).square().sum().sqrt() + out.hr.mean()}


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_finite_loss_with_a_gradient_that_is_not_leaves_the_weights_alone(clip: float) -> None:
    made = step("fp32", Losses(), None)
    made.loss, made.clip = Poisoned(Losses()), clip
    before = copy.deepcopy(made.student.module.state_dict())
    with pytest.raises(TrainingError, match=r"norm of the gradient is nan \(l1 = 0\.5"):
        made(*batch())
    assert all(torch.equal(before[k], v) for k, v in made.student.module.state_dict().items())


def test_a_discriminator_that_cannot_learn_keeps_the_student_from_its_step() -> None:
    made = step("fp32", GanLosses(vgg=0.0, lpips=0.0), None)
    assert made.discriminator is not None
    next(iter(made.discriminator.module.parameters())).register_hook(lambda g: g * float("inf"))
    before = copy.deepcopy(made.student.module.state_dict())
    with pytest.raises(TrainingError, match="norm of the gradient is"):
        made(*batch())
    assert all(torch.equal(before[k], v) for k, v in made.student.module.state_dict().items())


def test_a_gradient_too_large_for_float16_leaves_the_step_out_and_halves_the_scale() -> None:
    made = step("fp16", GanLosses(vgg=0.0, lpips=0.0), None)
    assert made.discriminator is not None
    networks = (made.student, made.discriminator)
    scale = made.student.scaler.get_scale()
    poison = next(iter(made.student.module.parameters())).register_hook(lambda g: g * 1e38)
    before = [copy.deepcopy(each.module.state_dict()) for each in networks]
    made(*batch())
    student, judge = (
        all(torch.equal(old[k], v) for k, v in each.module.state_dict().items())
        for old, each in zip(before, networks, strict=True)
    )
    assert student
    assert not judge
    assert made.student.scaler.get_scale() == scale / 2
    assert made.discriminator.scaler.get_scale() == scale
    poison.remove()
    made(*batch())
    after = made.student.module.state_dict()
    assert not all(torch.equal(before[0][k], v) for k, v in after.items())


def test_gradients_that_never_fit_float16_end_the_training() -> None:
    made = step("fp16", Losses(), None)
    next(iter(made.student.module.parameters())).register_hook(lambda g: g * float("inf"))
    for _ in range(26):  # from 2^16 to 2^-10
        made(*batch())
    made(*batch())
    with pytest.raises(TrainingError, match="overflow float16"):
        made(*batch())


def test_every_term_is_proved_in_float16() -> None:
    norms = step("fp16", GanLosses(vgg=0.0, lpips=0.0), None).prove(*batch())
    exact = step("fp32", GanLosses(vgg=0.0, lpips=0.0), None).prove(*batch())
    assert norms == pytest.approx(exact, rel=0.05)


def test_a_gpu_without_bfloat16_is_told_what_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(TrainingError, match="fp16-mixed"):
        autocast("bf16-mixed", "cuda")


def test_float32_on_a_gpu_is_tf32_only_where_it_is_asked_for() -> None:
    for precision, rounded in (("tf32", True), ("fp32", False)):
        choose_float32(precision)
        assert torch.backends.cudnn.allow_tf32 == rounded
        assert torch.backends.cuda.matmul.allow_tf32 == rounded
