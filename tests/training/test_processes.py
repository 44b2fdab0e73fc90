"""Two processes that share the batch train what one would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
steps = 4
batch = 4
patch = 32
log_every = 1
device = "cpu"
devices = {processes}
"""


def train(folder: Path, processes: int) -> list[dict[str, Any]]:
    """What is logged of four steps by so many processes."""
    (folder / "recipe.toml").write_text(RECIPE.format(processes=processes))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "-m", "edgesr", "train", "recipe.toml"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (folder / f"runs/run{processes}/log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if "loss" in line]


@pytest.mark.skipif(sys.platform != "linux", reason="torchrun's loopback set-up is Linux's")
def test_two_processes_log_once_and_lose_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photographs/{i}.png")
    one, two = train(tmp_path, 1), train(tmp_path, 2)
    assert [line["step"] for line in two] == [1, 2, 3, 4]
    losses = [[line["loss"] for line in log] for log in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert (tmp_path / "runs/run2/model.safetensors").is_file()
