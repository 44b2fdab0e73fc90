"""What a card would be given: every tensor of a training on its device, told without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgesr import weights
from edgesr.data import shards
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.data.stream import StreamSampler
from edgesr.losses.perceptual import build_lpips
from edgesr.losses.total import GeneratorLoss
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.models.srgan import Discriminator
from edgesr.models.unet import UNetDiscriminator
from edgesr.quality.evaluate import torch_upscaler
from edgesr.recipe import Data, Edge, GanLosses, Losses, Model, Optimisation, Rewrites, Srgan
from edgesr.training.ema import Ema
from edgesr.training.precision import Autocast, autocast
from edgesr.training.sense import examine
from edgesr.training.steps import Step, TrainedNetwork
from edgesr.training.teacher_targets import teacher_targets
from edgesr.training.validation import Validation
from edgesr.workspace import cache_dir
from tests.fake_cuda import CUDA, Waits, card, fabric
from tests.streams import write_shards

NETWORKS: dict[str, Model] = {
    "srgan": Srgan(blocks=1, channels=8),
    "edge": Edge(channels=8, depth=2, branches=["expand", "point", "identity"]),
}
TAUGHT = {"luma": 1.0, "ssim": 1.0, "teacher_l1": 1.0, "feature_affinity": 1.0, "frequency": 1.0}
SEEN = {"vgg": 1.0, "lpips": 1.0, "lpips_network": "both", "lpips_against": "both"}
SETTINGS = Optimisation(lr=1e-3)
each_network = pytest.mark.parametrize("network", NETWORKS)


@pytest.fixture(autouse=True)
def random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Perceptual networks need no files."""

    def load(network: weights.Network, _: str) -> dict[str, Tensor]:
        shapes = weights.skeleton(network).state_dict()
        return {f"features.{key}": torch.rand(value.shape) for key, value in shapes.items()}

    monkeypatch.setattr(weights, "load", load)


@pytest.fixture
def waits() -> Iterator[Waits]:
    with card() as found:
        yield found


def taught(folder: Path) -> zoo.SRModel:
    zoo.save(zoo.build(NETWORKS["srgan"]), folder / "t.safetensors", licence="MIT")
    return zoo.load(folder / "t.safetensors")


def step(network: str, stage: str, optimiser: Any, precision: Any, teacher: zoo.SRModel) -> Step:
    used = fabric(autocast(precision, "cuda"))
    judge = {"pixel": None, "gan": Discriminator, "gan, every pixel": UNetDiscriminator}[stage]
    with CUDA:
        student, critic = zoo.build(NETWORKS[network]), judge and judge()
    trained = TrainedNetwork.prepared(used, student, SETTINGS, optimiser)
    judged = critic and TrainedNetwork.prepared(used, critic, SETTINGS)
    losses = GanLosses(**TAUGHT, **SEEN) if judge else Losses(**TAUGHT, **SEEN)
    teacher.module.requires_grad_(False).to(CUDA)
    return Step(used, trained, GeneratorLoss(losses).to(CUDA), teacher, judged, clip=1.0)


@each_network
@pytest.mark.parametrize("stage", ["pixel", "gan", "gan, every pixel"])
@pytest.mark.parametrize(
    ("optimiser", "precision"),
    [("adam", "fp32"), ("muon", "bf16-mixed"), ("adam", "fp16-mixed")],
)
def test_a_step_keeps_to_the_card_and_does_not_wait_for_it(
    tmp_path: Path, network: str, stage: str, optimiser: str, precision: str
) -> None:
    teacher = taught(tmp_path)
    with card() as waits:
        made = step(network, stage, optimiser, precision, teacher)
        ema = Ema(made.student.module, 0.9)
        lr, hr = torch.rand(2, 3, 16, 16, device=CUDA), torch.rand(2, 3, 64, 64, device=CUDA)
        made(lr, hr)  # the first step makes the optimisers' state
        waits.found.clear()
        record = made(lr, hr)
        ema.update(made.student.module)
        assert not waits.found, waits.found
        made.settle()
        assert waits.found
        assert {value.device for value in record.values()} == {CUDA}
        assert {value.device for value in ema.module.state_dict().values()} == {CUDA}


@each_network
def test_a_forward_pass_does_not_wait_for_the_card(waits: Waits, network: str) -> None:
    module = zoo.build(NETWORKS[network]).to(CUDA)
    waits.found.clear()
    with torch.autocast("cuda", torch.bfloat16):
        sr, features = module.with_features(torch.rand(2, 3, 16, 16, device=CUDA))
    assert sr.device == features.device == CUDA
    assert not waits.found


def cache() -> PatchCache:
    """Two photographs of 32 x 48 pixels at LR."""
    hr, lr = 16 * 32 * 48, 32 * 48
    sizes = torch.tensor([(32, 48)] * 2)
    offsets = torch.tensor([(0, hr), (hr + lr, 2 * hr + lr)])
    data = torch.zeros(2 * (hr + lr), 3, dtype=torch.uint8)
    return PatchCache("key", 4, data, [Path("a"), Path("b")], sizes, offsets)


@pytest.mark.parametrize("fits", [True, False], ids=["cache on the card", "cache in memory"])
def test_patches_arrive_on_the_card(
    waits: Waits, monkeypatch: pytest.MonkeyPatch, fits: bool
) -> None:
    photographs = cache()
    free = 2**30 if fits else 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    targets = torch.zeros(2 * 16 * 32 * 48, 3, dtype=torch.uint8)
    sampler = PatchSampler(photographs, patch=32, batch=4, seed=0, device=CUDA, targets=targets)
    assert sampler.data.device.type == ("cuda" if fits else "cpu")
    waits.found.clear()
    patches = sampler.next()
    assert not waits.found, waits.found
    assert [each.shape[1:] for each in patches] == [(3, 8, 8), (3, 32, 32), (3, 32, 32)]
    assert all(each.device == CUDA and each.dtype == torch.float32 for each in patches)


def test_streamed_patches_arrive_on_the_card(tmp_path: Path) -> None:
    pytest.importorskip("webdataset", reason="needs WebDataset (edgesr[stream])")
    pattern = write_shards(tmp_path, [3])
    stream = {"photographs": 2, "crops": 8, "workers": 0}
    data = Data.model_validate({"photos": pattern, "validation": 1, "stream": stream})
    where: dict[str, Any] = {"scale": 4, "patch": 32, "batch": 4, "seed": 0}
    sampler = StreamSampler(shards.find(data), data, device="cpu", **where)
    sampler.next()
    sampler.device = CUDA
    with card() as waits:
        patches = sampler.next()
        assert not waits.found, waits.found
    assert [each.shape[1:] for each in patches] == [(3, 8, 8), (3, 32, 32)]
    assert all(each.device == CUDA and each.dtype == torch.float32 for each in patches)


@each_network
def test_validation_with_lpips_runs_on_the_card(photographs: Path, network: str) -> None:
    files = sorted(photographs.glob("*.png"))
    validation = Validation(files, 4, CUDA)
    with card():
        validation.lpips = build_lpips("alexnet").to(CUDA)
        module = zoo.build(NETWORKS[network]).eval().to(CUDA)
        assert validation(module).lpips == 1.0


@pytest.mark.usefixtures("waits")
def test_a_teacher_is_tried_out_on_the_card(photographs: Path) -> None:
    examples = Validation(sorted(photographs.glob("*.png")), 4, CUDA).examples
    module = zoo.build(NETWORKS["srgan"]).eval().to(CUDA)
    examine(module, examples, CUDA)


@each_network
def test_a_teachers_pictures_are_made_on_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))

    def zeros(_: str, size: int, **__: Any) -> Tensor:
        return torch.zeros(size, dtype=torch.uint8)

    monkeypatch.setattr(torch, "from_file", zeros)
    zoo.save(zoo.build(NETWORKS[network]), tmp_path / "t.safetensors", licence="MIT")
    teacher, photographs = zoo.load(tmp_path / "t.safetensors"), cache()
    with card():
        teacher.module.to(CUDA)
        teacher_targets(photographs, teacher, fabric(Autocast("cuda")), "bf16-mixed")
    (made,) = (cache_dir() / "teacher-targets").glob("*.bin")
    assert made.stat().st_size > 2 * 16 * 64 * 64 * 3  # every size reads as 64


@pytest.mark.usefixtures("waits")
@each_network
def test_what_is_exported_is_traced_on_the_card(network: str) -> None:
    module = deployable(zoo.build(NETWORKS[network]).to(CUDA), Rewrites())
    assert {value.device for value in module.state_dict().values()} == {CUDA}
    program = torch.export.export(module, (torch.rand(1, 3, 24, 32, device=CUDA),))
    made = [node.meta["val"] for node in program.graph.nodes if "val" in node.meta]
    assert {each.device for each in made if isinstance(each, Tensor)} == {CUDA}


def test_a_model_is_evaluated_on_the_card(tmp_path: Path) -> None:
    model = taught(tmp_path)
    with card():
        upscaler = torch_upscaler(model, "cuda:0")
        picture = torch.zeros(8, 9, 3, dtype=torch.uint8).numpy()
        assert upscaler(picture).shape == (32, 36, 3)
