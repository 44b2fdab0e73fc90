"""One step of training. The maths of the paper, in one place, with its equation numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from edgesr.losses.adversarial import discriminator_loss
from edgesr.losses.total import GeneratorLoss, Outputs, prove_gradients
from edgesr.models.zoo import SRModel
from edgesr.recipe import Optimisation, Optimiser, teacher_terms
from edgesr.training import neighbours
from edgesr.training.finite import LEAST_SCALE, PROVED_AT, NotFinite, Unread
from edgesr.training.muon import Muon, hidden
from edgesr.training.precision import scaler


@dataclass
class TrainedNetwork:
    """A network and the optimisers that train it, one for each part of it, set up by Fabric.

    Attributes:
        scaler: keeps float16's small gradients from vanishing; else it does nothing.
    """

    net: _FabricModule
    optimisers: list[_FabricOptimizer]
    scaler: torch.amp.GradScaler

    @classmethod
    def prepared(
        cls,
        fabric: Fabric,
        net: nn.Module,
        settings: Optimisation,
        optimiser: Optimiser = "adam",
        freeze: Sequence[nn.Module] = (),
    ) -> TrainedNetwork:
        """`net` in training mode, with the optimisers of `settings`.

        Args:
            freeze: parts of it that stay as they are, their batch normalisation's statistics too.

        Raises:
            TrainingError: Muon has nothing to train.
        """
        channels_last(net.train().requires_grad_(True))
        for part in freeze:
            part.eval().requires_grad_(False)
        optimisers: list[torch.optim.Optimizer] = []
        parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
        if optimiser == "muon":
            kernels, parameters = hidden(parameters)
            optimisers.append(Muon(kernels, lr=settings.lr))
        betas = (settings.beta1, settings.beta2)
        optimisers.append(torch.optim.Adam(parameters, lr=settings.lr, betas=betas, fused=True))
        wrapped, *prepared = fabric.setup(net, *optimisers)
        return cls(wrapped, prepared, scaler(fabric))

    @property
    def module(self) -> nn.Module:
        """The network itself, without Fabric's wrapper."""
        module: nn.Module = self.net.module
        return module

    def set_learning_rate(self, lr: float) -> None:
        """Train with `lr` from here on."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr

    def differentiate(self, fabric: Fabric, loss: Tensor, clip: float) -> Tensor:
        """Have every parameter hold the gradient of `loss`, its norm at most `clip` unless that is
        0; returns the norm from before."""
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        fabric.backward(self.scaler.scale(loss))
        for optimiser in self.optimisers:
            self.scaler.unscale_(optimiser.optimizer)
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if clip:
            nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        return norm

    def descend(self) -> None:
        """One step of the optimisers down the gradient that the parameters hold; in float16 none
        where that is not finite, and a smaller scale for the next."""
        for optimiser in self.optimisers:
            if self.scaler.is_enabled():
                self.scaler.step(optimiser.optimizer)
            else:
                optimiser.step()
        self.scaler.update()


@dataclass
class Step:
    """The step of one stage: pixel training, with a discriminator GAN training, and with a
    teacher distillation. Calling it with a batch trains the networks once.

    Attributes:
        student: G of the equations.
        discriminator: D of the equations; None in the pixel stage.
        teacher: only read; None where no loss term asks for it.
        clip: largest norm of a gradient, 0 for no limit.
    """

    fabric: Fabric
    student: TrainedNetwork
    loss: GeneratorLoss
    teacher: SRModel | None = None
    discriminator: TrainedNetwork | None = None
    clip: float = 0.0
    _needs_teacher: bool = field(init=False)
    _unread: list[Unread] = field(default_factory=lambda: [[]])

    def __post_init__(self) -> None:
        self.student.net.mark_forward_method("with_features")
        self._needs_teacher = bool(teacher_terms(self.loss.losses))

    def __call__(
        self, lr: Tensor, hr: Tensor, teacher_sr: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Train once on `lr` (B, 3, H, W) and `hr` (B, 3, 4H, 4W), both RGB 0..1.

        The teacher is run unless its picture is given, `teacher_sr` of the shape of `hr`.

        Returns:
            The unweighted terms, their weighted sum as "loss", and the discriminator's loss.

        Raises:
            NotFinite: on the CPU, a loss or its gradient is NaN or infinite, in any process; the
                weights are as before the step. On a GPU `settle` says so later.
        """
        out = self.forward(lr, hr, teacher_sr)
        terms = self.terms(out)
        loss = self.loss.total(terms)  # eq. 1
        norm = self.student.differentiate(self.fabric, loss, self.clip)
        self._unread.append([])
        self.check_finite(loss, norm, terms)
        record = {"loss": loss, **terms}
        if self.discriminator is not None:
            real = self.judged(self.discriminator.net, hr)
            fake = self.judged(self.discriminator.net, out.sr.detach())
            d_loss = discriminator_loss(real, fake)  # eq. 2
            norm = self.discriminator.differentiate(self.fabric, d_loss, self.clip)
            self.check_finite(d_loss, norm, {"discriminator": d_loss})
            self.discriminator.descend()
            record["discriminator"] = d_loss
        self.student.descend()
        return {name: value.detach() for name, value in record.items()}

    def forward(self, lr: Tensor, hr: Tensor, teacher_sr: Tensor | None = None) -> Outputs:
        """The student's picture, and the teacher's where a term compares with it; float32."""
        teacher_features = None
        if teacher_sr is None:
            teacher_sr, teacher_features = self._teach(lr)
        # Fabric leaves its precision out of a marked method where nothing wraps the network.
        with self.fabric.autocast():
            sr, features = self.student.net.with_features(lr)
        scale = hr.shape[-1] // lr.shape[-1]
        pictures = self._frames(hr, scale) if self.loss.losses.temporal else None
        teachers = teacher_sr, teacher_features
        return Outputs(sr.float(), hr, scale, features.float(), *teachers, pictures)

    def _frames(self, hr: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """The student's pictures of two neighbouring frames; float32."""

        def student(lr: Tensor) -> Tensor:
            with self.fabric.autocast():
                sr: Tensor = self.student.net.with_features(lr)[0]
            return sr

        return neighbours.enlarged(student, hr, scale)

    def terms(self, out: Outputs) -> dict[str, Tensor]:
        """The loss terms; the discriminator judges but does not learn from them."""
        if self.discriminator is None:
            return self.loss.terms(out)
        judge = self.discriminator.module
        with frozen(judge):
            return self.loss.terms(out, lambda pictures: self.judged(judge, pictures))

    def judged(self, judge: nn.Module, pictures: Tensor) -> Tensor:
        """The logits of a discriminator for `pictures` (B, 3, 4H, 4W); float32."""
        with self.fabric.autocast():
            logits: Tensor = judge(pictures)
        return logits.float()

    def check_finite(self, loss: Tensor, norm: Tensor, terms: dict[str, Tensor]) -> None:
        """Note the loss and the norm of its gradient for `settle`, with the `terms` that it names.

        The CPU settles at once; a GPU, which has yet to compute them, would be waited for. A norm
        in float16 may be infinite: the step is then left out.
        """
        if self.student.scaler.is_enabled():
            norm = torch.ones_like(norm)
        both = self.average({"loss and norm": torch.stack([loss.detach(), norm])})
        kept = {name: term.detach() for name, term in terms.items()}
        self._unread[-1].append((both["loss and norm"], kept))
        if not self.queues:
            self.settle()

    @property
    def queues(self) -> bool:
        """Whether a step returns before it is computed, as on a GPU."""
        return bool(self.fabric.device.type != "cpu")

    def settle(self) -> None:
        """Wait for the steps since the last call; all processes must call it after the same one.

        Raises:
            NotFinite: a loss or a gradient of one of them is NaN or infinite, in any process;
                names the means of its terms.
        """
        if self.student.scaler.is_enabled() and self.student.scaler.get_scale() < LEAST_SCALE:
            raise NotFinite(f"gradients overflow float16 even times {LEAST_SCALE:g}", 0)
        unread, self._unread = self._unread, [[]]
        values = [both for each in unread for both, _ in each]
        if not values or bool(torch.isfinite(torch.stack(values)).all()):
            return
        for ago, each in zip(reversed(range(len(unread))), unread, strict=True):
            for both, terms in each:
                if not bool(torch.isfinite(both).all()):
                    raise self._not_finite(both, terms, ago)

    def _not_finite(self, both: Tensor, terms: dict[str, Tensor], ago: int) -> NotFinite:
        means = self.average({name: term.clone() for name, term in terms.items()})
        values = ", ".join(f"{name} = {float(mean):g}" for name, mean in means.items())
        mean_loss, mean_norm = both.tolist()
        if not math.isfinite(mean_loss):
            return NotFinite(f"the loss is {mean_loss:g} ({values})", ago)
        return NotFinite(f"the norm of the gradient is {mean_norm:g} ({values})", ago)

    @torch.no_grad()
    def _teach(self, lr: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if self.teacher is None or not self._needs_teacher:
            return None, None
        with self.fabric.autocast():
            if not self.loss.losses.feature_affinity:
                return self.teacher.module(lr).float(), None
            sr, features = self.teacher.module.with_features(lr)  # type: ignore[operator]
        return sr.float(), features.float()

    def average(self, record: dict[str, Tensor]) -> dict[str, Tensor]:
        """The mean of `record` over all processes; each of them must ask for it."""
        return {name: torch.as_tensor(self.fabric.all_reduce(v)) for name, v in record.items()}

    def agreed(self, stop: list[int]) -> int:
        """The signal that any process was asked to stop by; 0 where none was. Each of them must
        ask."""
        if self.fabric.world_size == 1:
            return stop[0] if stop else 0
        number = torch.tensor(stop[0] if stop else 0, device=self.fabric.device)
        return int(torch.as_tensor(self.fabric.all_reduce(number, reduce_op="max")))

    def prove(self, lr: Tensor, hr: Tensor, teacher_sr: Tensor | None = None) -> dict[str, float]:
        """Show on one batch, without training, that every term reaches what it should train.

        Raises:
            TrainingError: a term with a non-zero weight gives no gradient.
        """
        out = self.forward(lr, hr, teacher_sr)
        parameters = self.student.module.parameters()
        scale = PROVED_AT if self.student.scaler.is_enabled() else 1.0
        terms = {name: scale * term for name, term in self.terms(out).items()}
        norms = prove_gradients(terms, parameters, self.loss.losses, "student")
        norms = {name: norm / scale for name, norm in norms.items()}
        if self.discriminator is not None:
            judge = self.discriminator.module
            real, fake = self.judged(judge, hr), self.judged(judge, out.sr.detach())
            d_loss = discriminator_loss(real, fake)
            term = {"discriminator": d_loss}
            norms |= prove_gradients(term, judge.parameters(), self.loss.losses, "discriminator")
        return norms


def channels_last(net: nn.Module) -> None:
    """Have convolutions read and write their channels side by side, as CPUs and tensor cores do.

    A 1x1 kernel is the same bytes either way, and stays contiguous as its gradient is: where the
    strides of the two differ, if only in name, DDP copies and warns.
    """
    for parameter in net.parameters():
        if parameter.ndim == 4 and parameter.shape[2:] != (1, 1):
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Leave the parameters of `module` without gradient inside the block."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
