"""Two processes compute what one does, agree before they begin, and end together."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr.recipe import io as recipe_io
from edgesr.training import stage
from edgesr.training.state import read_checkpoint
from edgesr.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and talks by loopback")

ROOT = Path(__file__).parents[2]
N4 = """
name = "run"
[model]
arch = "srgan"
blocks = 4
channels = 4
[data]
photos = "photographs"
validation = 1
[training]
steps = 3
batch = 4
patch = 32
grad_clip = 1.0
log_every = 1
device = "cpu"
devices = 2
[losses]
l1 = 1.0
luma = 0.5
[gan]
steps = 2
discriminator = "srgan"
[gan.losses]
vgg = 0.0
lpips = 0.0
"""
SMALL = [
    *("training.devices=2", "training.device=cpu", "training.batch=2", "training.patch=32"),
    *("training.log_every=1", "data.validation=1"),
]


# Forked from a process that has torch loaded: seconds less each.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["edgesr.cli", "edgesr.training.stage"])

PROCESS = """
import os, sys
os.environ.update({environment!r})
os.chdir({folder!r})
for stream in (1, 2):
    os.dup2(os.open({said!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
sys.argv = ["edgesr", *{command!r}]
from edgesr.cli import main
main()
"""


@dataclass
class Ended:
    """How a process ended, and all that it printed."""

    code: int | None
    said: str


def start(folder: Path, *commands: list[str]) -> list[BaseProcess]:
    """One process of `edgesr COMMAND` in `folder` for each of `commands`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **{"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        **{"WORLD_SIZE": str(len(commands)), "LOCAL_WORLD_SIZE": str(len(commands))},
        **{"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        "EDGESR_CACHE": os.environ["EDGESR_CACHE"],
    }
    processes: list[BaseProcess] = []
    for rank, command in enumerate(commands):
        code = PROCESS.format(
            environment=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            folder=str(folder),
            said=str(folder / f"said-{rank}.txt"),
            command=command,
        )
        processes.append(CONTEXT.Process(target=exec, args=(code, {})))
        processes[-1].start()
    return processes


def wait(folder: Path, processes: list[BaseProcess], seconds: float = 120.0) -> list[Ended]:
    """How `processes` end: when one fails the others are terminated, as torchrun does it."""
    until = time.monotonic() + seconds
    while any(process.exitcode is None for process in processes) and time.monotonic() < until:
        if any(process.exitcode for process in processes):
            end(processes)
        time.sleep(0.05)
    end(processes)
    said = [(folder / f"said-{rank}.txt").read_text() for rank in range(len(processes))]
    return [Ended(process.exitcode, text) for process, text in zip(processes, said, strict=True)]


def end(processes: list[BaseProcess]) -> None:
    """Terminate those that still run."""
    for process in processes:
        if process.exitcode is None:
            process.terminate()


def run_together(folder: Path, *commands: list[str]) -> list[Ended]:
    """How the processes of `commands` end together in `folder`."""
    return wait(folder, start(folder, *commands))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with photographs in it, and others in `others`."""
    rng = np.random.default_rng(0)
    for name in ("photographs", "others"):
        (tmp_path / name).mkdir()
        for i in range(4):
            small = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
            picture = Image.fromarray(small).resize((72, 64), Image.Resampling.BICUBIC)
            picture.save(tmp_path / name / f"{i}.png")
    return tmp_path


def losses(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def options(*overrides: str) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


def test_n4_on_two_processes_has_the_losses_and_the_network_of_one_in_both_stages(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch normalisation, in the generator and in the discriminator, sees the whole batch."""
    (folder / "n4.toml").write_text(N4)
    ended = run_together(folder, *[["train", "n4.toml"]] * 2)
    assert [each.code for each in ended] == [0, 0], ended
    monkeypatch.chdir(folder)
    alone = ["training.devices=1", "name=alone"]
    stage.train(recipe_io.load(Path("n4.toml"), overrides=alone), Workspace())
    two, one = losses(folder / "runs/run"), losses(folder / "runs/alone")
    for ours, theirs in zip(two, one, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"stage", "images_per_s"}:
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3), (ours["step"], name)
    # Both processes end with the same weights and statistics, or a warning would say so.
    assert "differ" not in ended[0].said + ended[1].said
    networks = [
        torch.load(folder / f"runs/{name}/checkpoints/last.pt", weights_only=True)["student"]["net"]
        for name in ("run", "alone")
    ]
    for name, value in networks[0].items():
        if "running" in name:
            assert torch.allclose(value, networks[1][name], rtol=1e-2, atol=1e-3), name


@pytest.mark.parametrize(
    ("name", "smaller"),
    [
        ("edge-xs", ["training.steps=2", "model.depth=2"]),
        (
            "n4",
            [
                *("training.steps=1", "gan.steps=1", "model.channels=8"),
                *("training.init=random", "gan.losses.lpips=0"),
            ],
        ),
    ],
)
def test_shipped_recipes_train_on_two_processes_as_they_are(
    folder: Path, name: str, smaller: list[str]
) -> None:
    """In bfloat16, taught once, by Muon, with branches or batch normalisation, parts frozen."""
    teacher = str(ROOT / "exports/n4-psnr/weights.safetensors")
    command = ["distill", str(ROOT / f"recipes/{name}.toml"), "--data", "photographs"]
    command += ["--teacher", teacher, *options(*SMALL, *smaller)]
    ended = run_together(folder, command, command)
    assert [each.code for each in ended] == [0, 0], ended
    said = ended[0].said + ended[1].said
    assert "Warning" not in said, said
    assert 'precision = "bf16-mixed"' in (folder / f"runs/{name}/recipe.toml").read_text()
    assert (folder / f"runs/{name}/run.json").is_file()
    assert len(losses(folder / f"runs/{name}")) == 2


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            options("training.lr=0.1", "training.steps=9", "losses.luma=2.0"),
            "losses.luma = 0.5 in process 0 but 2.0 in process 1; training.lr = 0.0002 in process 0"
            " but 0.1 in process 1; training.steps = 3 in process 0 but 9 in process 1",
        ),
        (options("data.photos=others"), "photographs = "),
    ],
    ids=["recipe", "photographs"],
)
def test_processes_that_were_told_different_things_end_and_one_of_them_says_so(
    folder: Path, other: list[str], named: str
) -> None:
    (folder / "n4.toml").write_text(N4)
    command = ["train", "n4.toml"]
    ended = run_together(folder, command, command + other)
    assert ended[0].code == 2
    assert ended[1].code in (2, -signal.SIGTERM)
    assert f"error: the processes of this training do not agree: {named}" in ended[0].said
    assert "error" not in ended[1].said
    assert not (folder / "runs/run/recipe.toml").exists()


def test_a_fault_that_the_first_process_alone_has_ends_both_and_is_told_once(folder: Path) -> None:
    """It alone looks whether the run's name is free; the other one hung, or told a traceback."""
    (folder / "n4.toml").write_text(N4)
    (folder / "runs/run").mkdir(parents=True)
    (folder / "runs/run/notes.txt").write_text("mine")
    ended = run_together(folder, ["train", "n4.toml"], ["train", "n4.toml"])
    assert ended[0].code == 2
    assert ended[1].code in (2, -signal.SIGTERM)
    assert ended[0].said.count("error: runs/run holds an earlier run") == 1
    assert "Error" not in ended[1].said
    assert "error" not in ended[1].said


def test_a_stop_of_one_process_saves_once_and_ends_both(folder: Path) -> None:
    (folder / "n4.toml").write_text(N4)
    command = ["train", "n4.toml", *options("training.steps=100000", "training.checkpoint_every=1")]
    processes = start(folder, command, command)
    checkpoint = folder / "runs/run/checkpoints/last.pt"
    try:
        while not checkpoint.exists() and processes[0].is_alive():
            time.sleep(0.05)
        os.kill(processes[1].pid, signal.SIGHUP)
        for process in processes:
            process.join(60)
    finally:
        ended = wait(folder, processes)
    assert [each.code for each in ended] == [128 + signal.SIGHUP] * 2, ended
    assert ended[0].said.count("all is saved") == 1
    assert "saved" not in ended[1].said
    recipe = recipe_io.loads((folder / "runs/run/recipe.toml").read_text())
    step = read_checkpoint(checkpoint, recipe)["step"]
    assert f"stopped at step {step} of the pixel stage" in ended[0].said
