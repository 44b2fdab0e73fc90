"""A static check of a model against what the delegates of devices document.

Nothing is run on a device. Which node a delegate takes is told from its documented operators,
attributes, element types and shapes (docs/targets.md names the pages).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from edgesr.bounds import parse_size
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.rows import Target
from edgesr.errors import ModelError, VerifyError
from edgesr.recipe import Verify
from edgesr.targets import coreml, nnapi, qnn, tensorrt, web, xnnpack
from edgesr.targets.delegate import Delegate, Fault, judge, partitions
from edgesr.targets.graph import nodes, opset
from edgesr.variant import parse

Evidence = dict[str, Any]
SIZE = Verify().size
TARGETS: dict[str, tuple[Delegate, ...]] = {
    "coreml": coreml.DELEGATES,
    "nnapi": nnapi.DELEGATES,
    "xnnpack": xnnpack.DELEGATES,
    "qnn": qnn.DELEGATES,
    "tensorrt": tensorrt.DELEGATES,
    "web": web.DELEGATES,
}


def check_names(targets: list[str]) -> None:
    """Raise VerifyError where a target is not known."""
    for target in targets:
        if target not in TARGETS:
            raise VerifyError(
                f"target {target} is not known, expected one of {', '.join(TARGETS)}",
                "Give one of these: edgesr verify --target coreml",
            )


def check_target(model: Path, target: str, size: str = SIZE) -> Evidence:
    """What the delegates of `target` would take of an ONNX file, and what not and why.

    Args:
        size: LR width x height to which shapes are fixed for the second look, at batch 1.

    Returns:
        "nodes" and, per delegate, "as_exported" and "fixed": "taken", "partitions", "falls_back"
        (operator, count, why, remedy). The shapes are those of the file in the one and fixed to
        `size` in the other.

    Raises:
        VerifyError: the target is not known.
        ModelError: the file is missing or no ONNX model.
    """
    check_names([target])
    loaded = _load(model)
    return {
        "target": target,
        "file": model.name,
        "nodes": len(nodes(loaded)),
        "opset": opset(loaded),
        "fixed_size": size,
        "run_on_device": False,
        "delegates": [_delegate(delegate, loaded, size) for delegate in TARGETS[target]],
    }


def check_bundle(folder: Path, card: Card, targets: list[str], size: str) -> list[Target]:
    """`check_target` for each variant of a bundle that its card names."""
    check_names(targets)
    return [
        Target(
            variant=variant,
            **check_target(folder / facts.file, target, parse(variant).window or size),
        )
        for target in targets
        for variant, facts in card.variants.items()
    ]


def _load(model: Path) -> onnx.ModelProto:
    try:
        onnx.checker.check_model(model)
    except (OSError, onnx.checker.ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{model} is no ONNX model: {reason}") from None
    return onnx.load(model)


def _delegate(delegate: Delegate, model: onnx.ModelProto, size: str) -> Evidence:
    width, height = parse_size(size)
    return {
        "delegate": delegate.name,
        "sources": [asdict(source) for source in delegate.sources],
        "notes": list(delegate.notes),
        "as_exported": _look(delegate, model, None),
        "fixed": _look(delegate, model, (1, height, width)),
    }


def _look(
    delegate: Delegate, model: onnx.ModelProto, size: tuple[int, int, int] | None
) -> Evidence:
    graph = nodes(model, size=size)
    verdicts = judge(delegate, graph, opset(model))
    taken = [verdict is None for verdict in verdicts]
    refused = Counter(
        (node.op, verdict)
        for node, verdict in zip(graph, verdicts, strict=True)
        if verdict is not None
    )
    return {
        "taken": sum(taken),
        "partitions": partitions(graph, taken),
        "falls_back": [_row(op, count, fault) for (op, fault), count in refused.items()],
    }


def _row(op: str, count: int, fault: Fault) -> Evidence:
    return {"operator": op, "count": count, **asdict(fault)}
