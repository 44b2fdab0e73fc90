"""What an ONNX file costs, counted in its graph: for networks whose layers edgesr does not know."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx

from edgesr.bounds import parse_size
from edgesr.targets.graph import Node, nodes
from edgesr.verify.cost import Cost

PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""The operators that multiply and add; all others are left out, as layers are elsewhere."""


def graph_cost(path: Path, size: str) -> dict[str, Cost]:
    """Cost of the float file at `path` by operator; where the shapes of some nodes cannot be told,
    which depend on values, the operator's name says how many were not counted.

    Args:
        size: the LR input, "WIDTHxHEIGHT" in pixels, batch 1.
    """
    width, height = parse_size(size)
    found = nodes(onnx.load(path), size=(1, height, width))
    parts = {}
    for operator in (op for op in PRODUCTS if any(node.op == op for node in found)):
        alike = [node for node in found if node.op == operator]
        counts = [_macs(node) for node in alike]
        unknown = counts.count(None)
        name = f"{operator}, {unknown} of {len(alike)} not counted" if unknown else operator
        parts[name] = Cost(sum(map(_weights, alike)), sum(count or 0 for count in counts))
    rest = sum(_weights(node) for node in found if node.op not in PRODUCTS)
    return parts | {"other": Cost(rest, 0)}


def _weights(node: Node) -> int:
    """Floats of the file that a node takes; those of shapes and scalars are not weights."""
    constants = [value.constant for value in node.inputs if value.type.startswith("float")]
    return sum(int(each.size) for each in constants if each is not None and each.size > 1)


def _macs(node: Node) -> int | None:
    """Multiply-adds of one node; None where a shape is not known."""
    taken, weight, made = node.inputs[0].shape, node.inputs[1].shape, node.outputs[0].shape
    if weight is None or None in weight:
        return None
    if node.op == "ConvTranspose":
        places = taken and taken[2:]
        return None if places is None or None in places else prod(weight) * prod(map(int, places))  # type: ignore[arg-type]
    if made is None or None in made:
        return None
    if node.op == "Conv":
        return prod(weight) * prod(made[2:])  # type: ignore[arg-type]
    inner = weight[-1] if node.op == "Gemm" and node.attributes.get("transB") else weight[-2]
    return prod(made) * int(inner or 0)  # type: ignore[arg-type]
