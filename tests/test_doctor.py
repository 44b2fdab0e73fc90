"""What the machine can do; packages that overwrite each other and providers at fault are named."""

from __future__ import annotations

from importlib import metadata

import onnxruntime
import pytest

from edgesr import doctor
from edgesr.runtimes import probe


def test_two_packages_of_onnx_runtime_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = {"onnxruntime": ["onnxruntime-gpu", "onnxruntime", "onnxruntime"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: both)
    found = doctor.onnx_runtime()
    assert f"{onnxruntime.__version__} from onnxruntime, onnxruntime-gpu: " in found
    assert "pip uninstall onnxruntime onnxruntime-gpu" in found


def test_one_package_is_named_without_a_word_more(monkeypatch: pytest.MonkeyPatch) -> None:
    only = {"onnxruntime": ["onnxruntime-gpu"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: only)
    assert doctor.onnx_runtime() == f"{onnxruntime.__version__} from onnxruntime-gpu"


def test_each_provider_of_the_build_is_tried_and_its_fault_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(probe, "fault", lambda name: "no driver" * name.startswith("CUDA"))
    assert doctor.providers() == [("CUDA", "no driver"), ("CPU", "works")]
