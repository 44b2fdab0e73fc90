"""Which file is measured on which runtime, and files of bytes as files of floats."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.bundle.card import read_card
from edgesr.bundle.records.card import Output, Picture, Variant
from edgesr.errors import Unsupported, VerifyError
from edgesr.runtimes.base import Facts, Tensor
from edgesr.verify import jobs
from edgesr.verify.jobs import Job, bytes_run, check_requested, float_run, plan


def variant(file: str, *, clipped: bool = False) -> Variant:
    """As much of a card's variant as a job needs: floats in, floats out."""
    lr = Picture.model_construct(
        colour="RGB", dtype="float32", layout="NCHW", shape=["batch", 3, "height", "width"]
    )
    sr = Output.model_construct(clipped=clipped)
    return Variant.model_construct(file=file, input=lr, output=sr)


VARIANTS = {"fp32": variant("model.onnx"), "int8": variant("model.int8.onnx")}


@pytest.fixture
def open_as(monkeypatch: pytest.MonkeyPatch):
    """`open_as(rule)`: files open with the precision that rule(job) says, or as it raises."""

    def use(rule) -> None:
        @contextmanager
        def opened(job: Job):
            yield None, Facts("1", 1, rule(job))

        monkeypatch.setattr(Job, "opened", opened)

    return use


def names(found: list[Job]) -> list[tuple[str, str, bool]]:
    return [(job.runtime, job.variant, job.exact) for job in found]


def test_fp32_runs_on_cuda_and_openvino_as_they_come_too(open_as) -> None:
    open_as(
        lambda job: (
            "float32" if job.exact else {"cuda": "tf32", "openvino": "bfloat16"}[job.runtime]
        )
    )
    found, refused = plan(Path("x"), VARIANTS, ["cpu", "cuda", "openvino"], 2)
    assert names(found) == [
        ("cpu", "fp32", True),
        ("cpu", "int8", True),
        ("cuda", "fp32", True),
        ("cuda", "fp32", False),
        ("cuda", "int8", True),
        ("openvino", "fp32", True),
        ("openvino", "fp32", False),
        ("openvino", "int8", True),
    ]
    assert refused == []


def test_where_the_default_is_float32_it_is_measured_once(open_as) -> None:
    open_as(lambda _: "float32")
    found, _ = plan(Path("x"), VARIANTS, ["openvino"], 2)
    assert names(found) == [("openvino", "fp32", True), ("openvino", "int8", True)]


def test_a_variant_that_a_runtime_does_not_take_is_told_with_the_reason(open_as) -> None:
    def rule(job: Job) -> str:
        if job.variant == "int8":
            raise Unsupported("no such layer")
        return "float32"

    open_as(rule)
    found, refused = plan(Path("x"), VARIANTS, ["ncnn"], 2)
    assert names(found) == [("ncnn", "fp32", True)]
    assert [row.as_dict() for row in refused] == [
        {"runtime": "ncnn", "variant": "int8", "reason": "no such layer"}
    ]


def test_a_runtime_that_does_not_take_fp32_is_an_error(open_as) -> None:
    def rule(job: Job) -> str:
        raise Unsupported(f"not {job.variant}")

    open_as(rule)
    with pytest.raises(VerifyError, match=r"ncnn does not take model\.onnx: not fp32"):
        plan(Path("x"), VARIANTS, ["ncnn"], 2)


def test_only_asked_runtimes_are_loaded_in_a_fixed_order(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(jobs, "load", loaded.append)
    assert check_requested(["web", "onnxruntime", "ncnn", "web"]) == ["ncnn", "web"]
    assert loaded == ["ncnn", "web"]


def test_pictures_pass_a_file_of_bytes_as_multiples_of_one_255th() -> None:
    class Doubled:
        """Takes and gives bytes, (B, H, W, 3)."""

        def run(self, lr: Tensor) -> tuple[Tensor, float]:
            assert lr.dtype == np.uint8
            assert lr.shape == (2, 5, 7, 3)
            return lr * np.uint8(2), 0.0

    running: Any = Doubled()
    pixels = np.random.default_rng(0).integers(0, 128, (2, 3, 5, 7))
    found = bytes_run(running)((pixels / 255).astype(np.float32))
    assert np.array_equal(np.rint(255 * found), 2 * pixels)


def test_a_real_bundles_variants_are_known_by_their_input(with_variants: Path) -> None:
    found, refused = plan(with_variants, read_card(with_variants).variants, ["cpu"], 1)
    assert {job.variant: (job.dtype, job.bytes_io) for job in found} == {
        "fp32": ("float32", False),
        "fp16": ("float32", False),
        "uint8-io": ("uint8", True),
    }
    assert refused == []


def test_a_file_with_float16_ends_is_measured_as_one_of_float32() -> None:
    class Halves:
        """Takes and gives float16."""

        def run(self, lr: Tensor) -> tuple[Tensor, float]:
            assert lr.dtype == np.float16
            return lr, 0.0

    running: Any = Halves()
    lr = np.random.default_rng(0).random((1, 3, 5, 7), dtype=np.float32)
    found = float_run(running, "float16")(lr)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - lr).max() <= 2**-12


def test_what_did_not_run_on_its_provider_is_not_measured_under_that_name(open_as) -> None:
    open_as(lambda _: "float32")
    why = "these nodes ran elsewhere: QLinearConv"
    found, refused = plan(Path("x"), VARIANTS, ["cpu", "cuda"], 2, {("cuda", "int8"): why})
    assert names(found) == [
        ("cpu", "fp32", True),
        ("cpu", "int8", True),
        ("cuda", "fp32", True),
    ]
    assert [row.as_dict() for row in refused] == [
        {"runtime": "cuda", "variant": "int8", "reason": why}
    ]


def test_a_job_knows_whether_its_file_clips(open_as) -> None:
    open_as(lambda _: "float32")
    clips = VARIANTS | {"int8": variant("model.int8.onnx", clipped=True)}
    found, _ = plan(Path("x"), clips, ["cpu"], 2)
    assert [(job.variant, job.clipped) for job in found] == [("fp32", False), ("int8", True)]
