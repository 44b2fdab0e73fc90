"""Bundles that were never trained: plausible JSON, and a network that repeats pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesr.bundle.checksums import digest, write_checksums
from edgesr.recipe import Edge, Recipe
from edgesr.recipe import io as recipe_io

MACHINE = {"cpu": "Example CPU @ 2.0 GHz", "cores": 2, "system": "Linux"}
SHA = "ab" * 32
SURROUNDINGS = {
    **{"threads": 2, "cores": 2, "reference_ms": [1.0, 1.1], "cpu_share": 0.9},
    **{"cores_taken": 0.0, "load_before": 1.0, "load_after": 1.2},
}
CPU = "CPUExecutionProvider"

MakeBundle = Callable[..., Path]


def nearest_x4(path: Path) -> None:
    """An ONNX file that repeats every pixel four times each way, with edgesr's metadata."""
    picture = [TensorProto.FLOAT, ["batch", 3, "height", "width"]]
    scales = numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales")
    node = helper.make_node(
        "Resize",
        ["lr", "", "scales"],
        ["sr"],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    graph = helper.make_graph(
        [node],
        "nearest",
        [helper.make_tensor_value_info("lr", *picture)],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["batch", 3, "H", "W"])],
        [scales],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    facts = {"format": "1", "name": "n", "architecture": "nearest", "scale": "4", "layout": "NCHW"}
    facts |= {"colour": "RGB", "range": "0..1", "min_size": "1", "halo": "0", "opset": "17"}
    helper.set_model_props(model, {f"edgesr.{key}": value for key, value in facts.items()})
    onnx.save(model, path)


def card(name: str, role: str) -> dict[str, Any]:
    teacher = {
        "name": "teacher",
        "architecture": "SRGAN N=16",
        "spec": {"arch": "srgan", "blocks": 16},
    }
    student = role == "student"
    return {
        "format": 3,
        "name": name,
        "architecture": "edge 32x8" if student else "SRGAN N=16",
        "role": role,
        "spec": {"arch": "edge"} if student else {"arch": "srgan", "blocks": 16},
        "scale": 4,
        "variants": {"fp32": variant()},
        "min_size": 1,
        "halo": 10,
        "opset": 17,
        "ir_version": 10,
        "simplified": True,
        "licence": "Apache-2.0",
        "git_revision": "0123456789abcdef",
        "sha256": {"model.onnx": SHA, "weights.safetensors": SHA, "recipe.toml": SHA},
        "teacher": teacher if student else None,
    }


def variant() -> dict[str, Any]:
    picture = {"colour": "RGB", "dtype": "float32", "layout": "NCHW", "range": [0, 1]}
    lr = picture | {"name": "lr", "shape": ["batch", 3, "height", "width"]}
    sr = picture | {"name": "sr", "shape": ["batch", 3, "4*height", "4*width"], "clipped": False}
    return {"file": "model.onnx", "bytes": 362_114, "input": lr, "output": sr}


def counts(parameters: int, macs: int) -> dict[str, int]:
    return {"parameters": parameters, "bytes": 4 * parameters, "macs": macs, "flops": 2 * macs}


TEACHER_PARTS = {
    "head": counts(15_617, 254_803_968),
    "body": counts(1_222_736, 19_931_332_608),
    "upsampler": counts(295_426, 12_079_595_520),
    "tail": counts(15_555, 4_076_863_488),
}
STUDENT_PARTS = {
    "head": counts(896, 14_155_776),
    "body": counts(73_984, 1_207_959_552),
    "tail": counts(13_872, 226_492_416),
}


def cost(student: bool) -> dict[str, Any]:
    own = STUDENT_PARTS if student else TEACHER_PARTS
    reference = {"name": "teacher", "architecture": "SRGAN N=16"}
    return {
        "size": "128x128",
        "parts": own,
        "total": total(own),
        "teacher": reference | {"parts": TEACHER_PARTS, "total": total(TEACHER_PARTS)}
        if student
        else None,
        "reduction_percent": 94.27 if student else None,
        "mac_ratio": 25.08 if student else None,
    }


def total(parts: dict[str, dict[str, int]]) -> dict[str, int]:
    keys = ("parameters", "bytes", "macs", "flops")
    return {key: sum(part[key] for part in parts.values()) for key in keys}


def cases() -> list[dict[str, Any]]:
    sizes = [(1, 1), (33, 17), (64, 64), (160, 96)]
    return [
        {
            "case": case,
            "height": height,
            "width": width,
            "batch": batch,
            "max_abs_diff": 0.0 if case == "black" else 1.2e-6,
            "psnr_db": None if case == "black" else 131.2,
            "shown_db": 100.0,
            "tint": 0.0,
            "changed": 0,
            "values": 48 * height * width * batch,
        }
        for case in ("photo", "noise", "black", "white", "checkerboard")
        for height, width in sizes
        for batch in (1, 3)
    ]


def evidence(name: str, student: bool) -> dict[str, Any]:
    p50 = 7.71 if student else 221.4
    provider = {"variant": "fp32", "requested": False, "nodes": {}, "message": ""}
    provider |= {"session_providers": [], "fallback_off": False}
    place = {"runtime": "cpu", "variant": "fp32", "exact": True}
    facts = {"version": "1.31.1", "threads": 2, "precision": "float32", "note": ""}
    timing = place | facts | {"size": "128x128", "warmup": 3, "runs": 20}
    speed = timing | {
        "batch": 1,
        "open_ms": 5.0,
        "cold_start_ms": 5.0 + 3 * p50,
        "shapes": [{"size": "64x64", "first_ms": p50, "p50_ms": p50 / 4, "p95_ms": p50 / 3}],
        "p50_ms": p50,
        "p95_ms": 1.08 * p50,
        "images_per_s": 1e3 / p50,
        "output_megapixels_per_s": 262.144 / p50,
        "peak_memory_mb": 143.0,
        "min_ms": 0.9 * p50,
        "noisy": "",
        "surroundings": SURROUNDINGS,
    }
    quality = place | {"data": "astronaut (embedded, held out)", "images": 1, "ssim": 0.8533}
    quality |= {"loss_db": 0.0, "psnr_db": 27.94, "bicubic_psnr_db": 27.05, "bicubic_ssim": 0.8312}
    quality |= {"kind": "photographs", "psnr_rgb_db": 26.5, "bicubic_psnr_rgb_db": 25.6}
    quality |= {"grid": 0.04, "bicubic_grid": 0.02}
    quality |= {"loss_rgb_db": 0.0, "lpips": 0.214, "bicubic_lpips": None, "pictures": []}
    return {
        "format": 3,
        "bundle": name,
        "bundle_sha256": SHA,
        "architecture": "edge 32x8" if student else "SRGAN N=16",
        "role": "student" if student else "teacher",
        "versions": {"edgesr": "0.1.0", "onnxruntime": "1.31", "torch": "2.15", "python": "3.11"},
        "machine": MACHINE,
        "file": {"bytes": 362_114 if student else 6_210_553},
        "variants": {"fp32": 362_114 if student else 6_210_553},
        "unsupported": [],
        "providers": [
            provider
            | {
                "provider": CPU,
                "available": True,
                "session_providers": [CPU],
                "nodes": {CPU: 12},
                "proved": True,
            },
            provider
            | {
                "provider": "CUDAExecutionProvider",
                "available": False,
                "proved": False,
                "message": "not available: libcuda.so.1 is not there",
            },
        ],
        "parity": [
            place
            | facts
            | {"max_abs_diff": 1.2e-6, "max_pixels_changed": 0.0, "min_psnr_db": 131.2}
            | {"kinds_db": {}, "flat_levels": None, "cases": cases(), "unsupported": []}
        ],
        "speed": [speed],
        "cost": cost(student),
        "quality": [quality if student else quality | {"psnr_db": 28.61, "ssim": 0.8702}],
        "targets": [],
        "gates": gates() if student else [],
        "passed": True,
    }


def gates() -> list[dict[str, Any]]:
    rows = [
        ("max_mb", 0.5, 0.362, "model.onnx"),
        ("max_abs_diff", 1e-4, 1.2e-6, "cpu, fp32"),
        ("max_pixels_changed", 0.001, 0.0, "cpu, fp32"),
        ("p95_ms", 20.0, 8.33, "cpu, fp32, 128x128"),
        ("min_gain_over_bicubic_db", 0.5, 0.89, "astronaut (embedded, held out)"),
        ("min_reduction_percent", 50.0, 94.27, "against the teacher"),
        ("provider_proof", 1.0, 1.0, "cpu, fp32"),
    ]
    return [
        {"gate": gate, "limit": limit, "measured": measured, "where": where}
        | {"state": "holds", "reason": ""}
        for gate, limit, measured, where in rows
    ]


def log_lines() -> list[dict[str, Any]]:
    """A pixel stage and a GAN stage, 40 logged steps each."""
    lines: list[dict[str, Any]] = []
    for stage in ("pixel", "gan"):
        for i in range(1, 41):
            wave = 1 + 0.15 * math.sin(2.1 * i) * math.cos(0.7 * i)
            l1 = (0.05 / i**0.5 + 0.03 if stage == "pixel" else 0.04) * wave
            values = {"loss": l1 * 1.1, "l1": l1, "teacher_l1": l1 * 0.7, "frequency": l1 * 3}
            if stage == "gan":
                values = {
                    "loss": l1 * 1.3,
                    "l1": l1,
                    "vgg": 1.4 * wave / i**0.1,
                    "adversarial": 0.7 + 0.01 * i * wave,
                    "lpips": 0.3 * wave / i**0.2,
                    "discriminator": 1.3 * wave / i**0.1,
                }
            step = 50 * i
            lines.append({"stage": stage, "step": step, "lr": 2e-4, "images_per_s": 61.2} | values)
            if i % 5 == 0:
                psnr = 27.9 - 2.5 / i if stage == "pixel" else 27.9 - 0.02 * i
                scores = {"psnr_db": psnr, "bicubic_psnr_db": 27.05}
                lines.append({"stage": stage, "step": step, "validation": scores})
    return lines


def run_facts(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "command": "distill",
        "architecture": "edge 32x8",
        "teacher": {"name": "teacher", "sha256": SHA, "architecture": "SRGAN N=16"},
        "sha256": SHA,
        "steps": 4000,
        "seconds": 412.0,
        "hardware": {"device": "cpu", **MACHINE},
        "validation": None,
        "versions": {"edgesr": "0.1.0"},
    }


def write_bundle(folder: Path, role: str = "student", **changes: Any) -> Path:
    """Write a bundle; `changes` replace the content of card, verify, run or log, None drops it."""
    folder.mkdir(parents=True)
    student = role == "student"
    files: dict[str, Any] = {
        "card": card(folder.name, role),
        "verify": evidence(folder.name, student),
        "run": run_facts(folder.name),
        "log": log_lines(),
        "recipe": recipe_io.dumps(Recipe(name=folder.name, model=Edge())),
        "model": True,
    } | changes
    for key in ("card", "verify", "run"):
        if files[key] is not None:
            (folder / f"{key}.json").write_text(json.dumps(files[key]))
    if files["log"] is not None:
        (folder / "log.jsonl").write_text("".join(json.dumps(x) + "\n" for x in files["log"]))
    if files["recipe"] is not None:
        (folder / "recipe.toml").write_text(files["recipe"])
    if files["model"]:
        nearest_x4(folder / "model.onnx")
    write_checksums(folder)
    if (folder / "verify.json").exists():
        bind(folder)
    return folder


def bind(folder: Path) -> None:
    """Have verify.json name the bundle as it is."""
    path = folder / "verify.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"bundle_sha256": digest(folder)}))


@pytest.fixture(scope="session", name="write_bundle")
def write_bundle_fixture() -> MakeBundle:
    """`write_bundle(folder, role, **changes)`."""
    return write_bundle


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Make `tmp_path/exports/<name>`, by default with everything in it."""

    def make(name: str, role: str = "student", **changes: Any) -> Path:
        return write_bundle(tmp_path / "exports" / name, role, **changes)

    return make


@pytest.fixture(scope="session", name="run_facts")
def run_facts_fixture() -> Callable[[str], dict[str, Any]]:
    """`run_facts(name)`: a run.json."""
    return run_facts


@pytest.fixture(scope="session", name="bind")
def bind_fixture() -> Callable[[Path], None]:
    """`bind(folder)`: verify.json names the bundle as it is."""
    return bind


@pytest.fixture(name="evidence")
def evidence_fixture() -> Callable[[str, bool], dict[str, Any]]:
    """`evidence(name, is_student)`: a verify.json."""
    return evidence


@pytest.fixture(name="card")
def card_fixture() -> Callable[[str, str], dict[str, Any]]:
    """`card(name, role)`: a card.json."""
    return card
