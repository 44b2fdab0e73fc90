"""Bundles at every scale: names, golden vectors, eight bits, bytes, tiles, channel orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgesr.bundle.card import read_card
from edgesr.bundle.check import check
from edgesr.deploy.stage import write_bundle
from edgesr.inference.upscaler import Upscaler
from edgesr.models import zoo
from edgesr.recipe import Edge, Recipe, Srgan
from edgesr.workspace import Workspace

VARIANTS = ("fp16", "int8", "uint8-io")


def bundle(workspace: Workspace, spec: Edge | Srgan, order: str) -> Path:
    torch.manual_seed(0)
    path = workspace.root / "model.safetensors"
    zoo.save(zoo.build(spec), path, licence="MIT")
    raw = {
        "name": "tiny",
        "model": spec.model_dump(),
        "export": {
            "depth_to_space": order,
            "int8": {"images": 2, "min_channels": 1, "finetune_steps": 0},
        },
    }
    recipe = Recipe.model_validate(raw)
    model = zoo.load(path)
    return write_bundle(
        model, recipe, workspace, role="student", teacher=None, extras=[], variants=VARIANTS
    )


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@pytest.mark.parametrize(
    "spec", [Edge(scale=2, channels=4, depth=1), Edge(scale=3, channels=4, depth=1)], ids=str
)
def test_a_bundle_of_another_scale_holds_in_every_variant(
    spec: Edge, order: str, workspace: Workspace
) -> None:
    folder = bundle(workspace, spec, order)
    card = read_card(folder)
    assert card.scale == spec.scale
    graph = onnx.load(folder / "model.onnx").graph
    height = graph.output[0].type.tensor_type.shape.dim[2].dim_param
    assert height == f"{spec.scale}*height" == card.variants["fp32"].output.shape[2]
    assert all(row.passed for row in check(folder))
    lr = np.random.default_rng(0).integers(0, 256, (40, 31, 3), np.uint8)
    for variant in ("fp32", *VARIANTS):
        whole = Upscaler(folder, variant=variant, provider="cpu")
        assert whole.scale == spec.scale
        tiles = Upscaler(folder, variant=variant, provider="cpu", tile=9)
        sr = whole(lr)
        assert sr.shape == (40 * spec.scale, 31 * spec.scale, 3)
        assert np.abs(sr.astype(int) - tiles(lr)).max() <= (1 if variant == "fp16" else 0)


def test_a_generator_of_scale_three_is_exported_with_its_tail_at_low_resolution(
    workspace: Workspace,
) -> None:
    folder = bundle(workspace, Srgan(scale=3, blocks=1, channels=4), "CRD")
    nodes = [node.op_type for node in onnx.load(folder / "model.onnx").graph.node]
    assert nodes[-1] == "DepthToSpace"
    assert all(row.passed for row in check(folder))
