"""Two processes that share the batch train what one would."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from edgesr.errors import TrainingError
from edgesr.recipe import Training
from edgesr.training.processes import connected, layout

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="torchrun's loopback set-up is Linux's"
)

RECIPE = """
name = "run{processes}"
[model]
arch = "edge"
channels = 4
depth = 1
[data]
photos = "photographs"
validation = 1
[training]
steps = {steps}
batch = 4
patch = 32
freeze = ["head"]
log_every = 1
checkpoint_every = 4
device = "cpu"
devices = {processes}
"""


def torchrun(folder: Path, *options: str) -> subprocess.Popen[str]:
    """`edgesr train recipe.toml` in `folder`, begun; its output is one text."""
    command = [sys.executable, "-m", "torch.distributed.run", *options]
    return subprocess.Popen(
        [*command, "-m", "edgesr", "train", "recipe.toml"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def train(folder: Path, processes: int) -> list[dict[str, Any]]:
    """What is logged of four steps by so many processes."""
    (folder / "recipe.toml").write_text(RECIPE.format(processes=processes, steps=4))
    started = torchrun(folder, "--standalone", "--nproc-per-node", str(processes))
    said, _ = started.communicate(timeout=120)
    assert started.returncode == 0, said
    lines = (folder / f"runs/run{processes}/log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if "loss" in line]


@pytest.fixture
def photographs(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photographs/{i}.png")


@pytest.mark.usefixtures("photographs")
def test_two_processes_log_once_and_lose_what_one_does(tmp_path: Path) -> None:
    one, two = train(tmp_path, 1), train(tmp_path, 2)
    assert [line["step"] for line in two] == [1, 2, 3, 4]
    losses = [[line["loss"] for line in log] for log in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert (tmp_path / "runs/run2/model.safetensors").is_file()
    assert torch.load(tmp_path / "runs/run2/checkpoints/last.pt", weights_only=True)["step"] == 4


SPAN = """arch = "spandrel"
name = "SPAN"
parameters = {num_in_ch = 3, num_out_ch = 3, feature_channels = 4}
"""


@pytest.mark.usefixtures("photographs")
def test_layers_that_only_inference_sets_stop_nobody_and_are_no_difference(tmp_path: Path) -> None:
    recipe = RECIPE.format(processes=2, steps=3).replace('freeze = ["head"]\n', "")
    of_edge = 'arch = "edge"\nchannels = 4\ndepth = 1\n'
    (tmp_path / "recipe.toml").write_text(recipe.replace(of_edge, SPAN))
    started = torchrun(tmp_path, "--standalone", "--nproc-per-node", "2")
    said, _ = started.communicate(timeout=120)
    assert started.returncode == 0, said
    assert "weights that differ" not in said


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize("victim", [0, 1])
def test_where_a_process_is_killed_the_one_on_the_other_machine_ends_and_says_so(
    tmp_path: Path, victim: int
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.format(processes=2, steps=10**6))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = f"127.0.0.1:{free.getsockname()[1]}"
    machines = [
        torchrun(tmp_path, "--nnodes=2", f"--node-rank={rank}", f"--rdzv-endpoint={meet}")
        for rank in range(2)
    ]
    checkpoint = tmp_path / "runs/run2/checkpoints/last.pt"
    try:
        wait_for(checkpoint, machines)
        (trainer,) = psutil.Process(machines[victim].pid).children()
        trainer.kill()
        said = [machine.communicate(timeout=60)[0] for machine in machines]
    finally:
        for machine in machines:
            machine.terminate()
    assert [machine.returncode for machine in machines] == [1, 1]
    assert "Signal 9 (SIGKILL)" in said[victim]
    assert "error: another process of this training ended" in said[1 - victim]
    lines = (tmp_path / "runs/run2/log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(steps)
    saved = torch.load(checkpoint, weights_only=True)["step"]
    assert saved % 4 == 0
    assert saved <= steps[-1]


def wait_for(path: Path, processes: list[subprocess.Popen[str]]) -> None:
    """Return when there is a file at `path`; fail where one of `processes` ends before."""
    for _ in range(1200):
        if path.is_file():
            return
        ended = [process for process in processes if process.poll() is not None]
        assert not ended, ended[0].communicate()[0]
        time.sleep(0.1)
    raise AssertionError(f"no {path} within two minutes")


def test_torchrun_says_how_the_devices_lie_over_the_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert layout(Training(devices=4)) == (4, 1)
    told = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert layout(Training(devices=4)) == (2, 2)
    with pytest.raises(TrainingError, match=r"started 4 processes.*training.devices = 1"):
        layout(Training())


def test_only_a_broken_connection_is_told_as_the_loss_of_another_process(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), connected(tmp_path):
        raise RuntimeError("shapes do not match")
    for error in (
        torch.distributed.DistBackendError("NCCL timed out. More words"),
        RuntimeError("[/gloo/pair.cc:5] NCCL timed out. More words"),
    ):
        with pytest.raises(TrainingError, match=r"ends too \(NCCL"), connected(tmp_path):
            raise error
