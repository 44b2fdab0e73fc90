"""ONNX Runtime as a runtime among others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.errors import ModelError, VerifyError
from edgesr.inference.session import CudaSettings
from edgesr.runtimes import onnxruntime as adapter
from edgesr.runtimes.onnxruntime import OnnxRuntime


def test_the_function_is_pytorchs(network) -> None:
    found = network.parity(OnnxRuntime("cpu"))
    assert found["max_abs_diff"] < 1e-5
    assert found["unsupported"] == []


def test_a_file_with_float16_ends_gets_and_gives_float16(network, half: Path) -> None:
    found = network.half_parity(OnnxRuntime("cpu"), half)
    assert 1e-6 < found["max_abs_diff"] < 5e-3
    assert found["unsupported"] == []


def test_it_states_version_threads_and_precision(network) -> None:
    facts = OnnxRuntime("cpu").open(network.file, threads=1).describe()
    assert (facts.threads, facts.precision, facts.note) == (1, "float32", "")
    assert facts.version[0].isdigit()


def test_a_run_between_bound_tensors_gives_what_a_run_of_arrays_does(network) -> None:
    running = OnnxRuntime("cpu").open(network.file, threads=1)
    lr = np.random.default_rng(0).random((1, 3, 9, 7), np.float32)
    found, seconds = running.run_bound(lr)
    np.testing.assert_array_equal(found, running.run(lr)[0])
    assert seconds > 0


def test_an_input_that_fails_names_the_file_and_the_shape(network) -> None:
    running = OnnxRuntime("cpu").open(network.file, threads=1)
    with pytest.raises(VerifyError, match=r"model\.onnx fails on an input of \(1, 5, 4, 4\)"):
        running.run(np.zeros((1, 5, 4, 4), np.float32))


def test_a_file_that_is_no_model_is_an_error(broken: Path) -> None:
    with pytest.raises(ModelError, match="cannot open"):
        OnnxRuntime("cpu").open(broken, threads=1)


@pytest.mark.parametrize(("exact", "precision"), [(True, "float32"), (False, "tf32")])
def test_cuda_gets_tf32_only_where_it_runs_as_it_comes(
    exact: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: dict[str, Any] = {}
    monkeypatch.setattr(adapter, "open_session", lambda _, **options: requested.update(options))
    running = OnnxRuntime("cuda").open(Path("model.onnx"), threads=2, exact=exact)
    assert requested == {
        "provider": "cuda",
        "threads": 2,
        "cuda": CudaSettings() if exact else None,
    }
    assert running.describe().precision == precision
