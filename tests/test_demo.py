"""The demo's last step; the others are the stages' own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.demo import run, show_jpeg
from edgesr.errors import EdgesrError
from edgesr.workspace import Workspace

EXPORTS = Path(__file__).parents[1] / "exports"


def test_the_demo_shows_a_jpeg_by_what_is_there_for_it(tmp_path: Path) -> None:
    workspace, folder = Workspace(tmp_path), tmp_path / "runs/demo-edge"
    for name in ("demo-edge", "edge-s-real"):  # edge-s is missing
        shutil.copytree(EXPORTS / "edge-xs", workspace.bundle(name))
    with Image.open(show_jpeg(workspace, folder)) as shown:
        assert shown.size == (3 * 512 + 2 * 6, 2 * (512 + 26))
        pixels = np.asarray(shown.convert("RGB"))
    bicubic, student = pixels[:512, :512], pixels[:512, 518:1030]
    assert not np.array_equal(bicubic, student)


def test_outside_a_checkout_it_says_what_it_needs(tmp_path: Path) -> None:
    """Where edgesr was installed from a wheel there is no teacher."""
    with pytest.raises(EdgesrError, match="run in a checkout of edgesr, whose exports/teacher"):
        run(Workspace(tmp_path))
