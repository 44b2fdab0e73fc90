"""What runs on a GPU, against the CPU. With EDGESR_ON_CPU the GPU is the CPU: the code is tried."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim.optimizer import register_optimizer_step_post_hook

from edgesr.data import photos
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.errors import TrainingError
from edgesr.inference.session import CPU, CUDA
from edgesr.inference.upscaler import Upscaler
from edgesr.losses.total import GeneratorLoss
from edgesr.models import zoo
from edgesr.quality.evaluate import torch_upscaler
from edgesr.recipe import Edge, Model, Recipe, Srgan
from edgesr.training import stage
from edgesr.training.loop import Interrupted
from edgesr.verify.providers import placements
from edgesr.workspace import Workspace

ON_CPU = bool(os.environ.get("EDGESR_ON_CPU"))
DEVICE = "cpu" if ON_CPU else "cuda"
CARDS = torch.cuda.device_count()
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not (ON_CPU or torch.cuda.is_available()), reason="needs a CUDA device"),
]
NETWORKS: dict[str, Model] = {
    "srgan": Srgan(blocks=1, channels=8),
    "edge": Edge(channels=8, depth=2, branches=["expand", "point", "identity"]),
}
PRECISIONS = ["fp32"] if ON_CPU else ["fp32", "tf32", "bf16-mixed", "fp16-mixed"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for n in range(4):
        small = np.random.default_rng(n).integers(0, 256, (9, 8, 3), np.uint8)
        Image.fromarray(small).resize((96, 80), Image.Resampling.BICUBIC).save(folder / f"{n}.png")
    return folder


def recipe(pictures: Path, network: str, **training: Any) -> Recipe:
    often = {"log_every": 2, "validate_every": 4, "checkpoint_every": 4}
    settings = {"steps": 8, "batch": 2, "patch": 32, "device": DEVICE, **often, **training}
    gan = {"steps": 4, "losses": {"vgg": 0.0, "lpips": 0.0}}
    return Recipe.model_validate(
        {
            "name": network,
            "model": NETWORKS[network].model_dump(),
            "data": {"photos": str(pictures), "validation": 1},
            "training": settings,
            "gan": gan,
        }
    )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_both_stages_train(
    workspace: Workspace, pictures: Path, network: str, precision: str, optimiser: str
) -> None:
    given = recipe(pictures, network, precision=precision, optimiser=optimiser)
    folder = stage.train(given, workspace)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 4 + 4 // 2
    assert all(np.isfinite(losses))
    assert json.loads((folder / "run.json").read_text())["hardware"]["device"].startswith(DEVICE)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_forward_and_a_backward_pass_are_the_cpus(network: str) -> None:
    torch.manual_seed(0)
    module = zoo.build(NETWORKS[network])
    lr, hr = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64)
    found = []
    for device in ("cpu", DEVICE):
        module.to(device).zero_grad()
        sr = module(lr.to(device))
        (sr - hr.to(device)).abs().mean().backward()
        gradients = [p.grad.cpu().flatten() for p in module.parameters() if p.grad is not None]
        found.append((sr.detach().cpu(), torch.cat(gradients)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fits", [True, False], ids=["cache on the card", "cache in memory"])
def test_patches_are_the_cpus_bit_for_bit(
    pictures: Path, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fits:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 0))
    cache = PatchCache.open(photos.find(pictures), patch=32, scale=4)
    ours, theirs = (
        PatchSampler(cache, patch=32, batch=16, seed=1, device=device).next()
        for device in (DEVICE, "cpu")
    )
    assert all(a.device.type == DEVICE for a in ours)
    assert all(torch.equal(a.cpu(), b) for a, b in zip(ours, theirs, strict=True))


def test_a_run_is_resumed_on_the_card(workspace: Workspace, pictures: Path) -> None:
    given, steps = recipe(pictures, "edge"), []

    def stop(*_: object) -> None:
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)

    hook = register_optimizer_step_post_hook(stop)
    with pytest.raises(Interrupted):
        stage.train(given, workspace)
    hook.remove()
    assert (stage.train(given, workspace, resume=True) / "model.safetensors").is_file()


def test_a_run_of_the_cpu_is_resumed_on_the_card(
    workspace: Workspace, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recipe(pictures, "edge", device="auto" if DEVICE == "cuda" else "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setattr(GeneratorLoss, "total", _stopping(GeneratorLoss.total))
        with pytest.raises(Interrupted):
            stage.train(given, workspace)
    assert (stage.train(given, workspace, resume=True) / "model.safetensors").is_file()


def _stopping(total: Any) -> Any:
    """A loss that asks to stop when it is computed."""

    def stop(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return total(*arguments)

    return stop


def test_a_loss_that_is_not_finite_is_named(
    workspace: Workspace, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = GeneratorLoss.total
    monkeypatch.setattr(GeneratorLoss, "total", lambda *each: total(*each) * float("nan"))
    with pytest.raises(TrainingError, match="step 0 of the pixel stage: the loss is nan"):
        stage.train(recipe(pictures, "edge"), workspace)


@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8", "uint8-io"])
def test_each_file_runs_where_it_is_meant_to_and_enlarges_as_on_the_cpu(
    made: Path, variant: str
) -> None:
    name = "model.onnx" if variant == "fp32" else f"model.{variant}.onnx"
    files = {"fp32": made / "model.onnx", variant: made / name}
    *_, placed = placements(files, [DEVICE], 1)
    assert placed.provider == (CPU if ON_CPU else CUDA)
    assert placed.proved, placed.message
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    ours, theirs = (
        Upscaler(made, variant=variant, provider=each)(picture).astype(int)
        for each in (DEVICE, "cpu")
    )
    assert np.abs(ours - theirs).max() <= (8 if variant == "int8" else 1)


def test_a_network_is_evaluated_on_the_card(made: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    ours, theirs = (
        torch_upscaler(zoo.load(made / "weights.safetensors"), device)(picture).astype(int)
        for device in (DEVICE, "cpu")
    )
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.skipif(CARDS < 2, reason="needs two CUDA devices")
def test_two_cards_train_what_one_does(tmp_path: Path, pictures: Path) -> None:
    import subprocess

    losses = []
    for cards in (1, 2):
        text = (
            f'name = "run{cards}"\n[model]\narch = "edge"\nchannels = 8\ndepth = 2\n'
            f'[data]\nphotos = "{pictures}"\nvalidation = 1\n[training]\nsteps = 4\nbatch = 4\n'
            f'patch = 32\nlog_every = 1\ndevice = "cuda"\ndevices = {cards}\n'
        )
        (tmp_path / "recipe.toml").write_text(text)
        torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
        command = (*torchrun, f"--nproc-per-node={cards}", "-m", "edgesr", "train", "recipe.toml")
        subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
        lines = (tmp_path / f"runs/run{cards}/log.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines if "loss" in line])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
