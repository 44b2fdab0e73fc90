"""OpenVINO, for real where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino", reason="openvino is not installed: pip install edgesr[openvino]")

from edgesr.errors import Unsupported
from edgesr.runtimes.openvino import OpenVino


def test_the_function_is_pytorchs_at_every_size_and_batch(network) -> None:
    found = network.parity(OpenVino())
    assert found["max_abs_diff"] < 1e-5
    assert found["unsupported"] == []


def test_a_file_with_float16_ends_gets_and_gives_float16(network, half: Path) -> None:
    found = network.half_parity(OpenVino(), half)
    assert 1e-6 < found["max_abs_diff"] < 5e-3
    assert found["unsupported"] == []


def test_exact_is_float32_whatever_the_processor_has(network) -> None:
    facts = OpenVino().open(network.file, threads=1).describe()
    assert (facts.threads, facts.precision) == (1, "float32")
    assert facts.note == "INFERENCE_PRECISION_HINT=f32"


def test_as_it_comes_it_says_in_which_precision_it_computes(network) -> None:
    facts = OpenVino().open(network.file, threads=1, exact=False).describe()
    assert facts.precision in ("float32", "bfloat16")
    assert network.parity(OpenVino(), exact=False)["max_abs_diff"] < 0.05


def test_an_output_is_not_overwritten_by_the_next_run(network) -> None:
    running = OpenVino().open(network.file, threads=1)
    black, _ = running.run(np.zeros((1, 3, 8, 8), np.float32))
    kept = black.copy()
    running.run(np.ones((1, 3, 8, 8), np.float32))
    assert np.array_equal(black, kept)


def test_a_file_that_is_no_model_is_not_taken(broken: Path) -> None:
    with pytest.raises(Unsupported, match="OpenVINO cannot compile it: "):
        OpenVino().open(broken, threads=1)


def test_an_input_of_another_shape_is_not_taken(network) -> None:
    running = OpenVino().open(network.file, threads=1)
    with pytest.raises(Unsupported, match="OpenVINO cannot run it: "):
        running.run(np.zeros((1, 5, 4, 4), np.float32))
