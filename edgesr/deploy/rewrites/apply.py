"""Exact rewrites of the graph of a network that edgesr does not know: the same function with less
work, each kept where it is proved on noise, and said.

They look for patterns of operators, where `models.rewrite` knows edgesr's own layers. The switches
of both are `export.rewrites`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx

from edgesr import console
from edgesr.deploy.heldout import open_graph
from edgesr.deploy.rewrites.activation import before_shuffle
from edgesr.deploy.rewrites.anchor import low_resolution_anchor
from edgesr.deploy.rewrites.batch_norm import fold_batch_norm
from edgesr.deploy.rewrites.graph import Graph, Outcome
from edgesr.deploy.rewrites.slopes import one_slope
from edgesr.deploy.rewrites.split import split_slopes
from edgesr.deploy.rewrites.tail import low_resolution_tail
from edgesr.recipe import Rewrites

ROUNDING = 1e-5
"""By which both graphs may differ, of the largest value that they give and at least of 1."""


class Idea(NamedTuple):
    """A rewrite, by its switch in `export.rewrites`, and what is said of it."""

    switch: str
    words: str
    apply: Callable[[Graph], Outcome]


IDEAS = (
    Idea("fold_batch_norm", "BatchNormalization in the convolution", fold_batch_norm),
    Idea("leaky_relu", "PRelu with one slope as LeakyRelu", one_slope),
    Idea("prelu_before_shuffle", "activation before DepthToSpace", before_shuffle),
    Idea("split_prelu", "PRelu as a sum", split_slopes),
    Idea("low_resolution_tail", "last convolution before DepthToSpace", low_resolution_tail),
    Idea("low_resolution_anchor", "enlarged input before DepthToSpace", low_resolution_anchor),
)


def rewritten(
    model: onnx.ModelProto, switches: Rewrites, shapes: Sequence[tuple[int, ...]]
) -> onnx.ModelProto:
    """`model` with each rewrite that its graph has the pattern of, as far as it is proved.

    Args:
        model: float, `lr` in, `sr` out.
        shapes: of `lr`, at which each rewrite is held against the graph before it.
    """
    if Graph(model).branches:
        console.say("not rewritten: the graph holds graphs of its own (If, Loop)")
        return model
    found = False
    for idea in (idea for idea in IDEAS if getattr(switches, idea.switch)):
        graph = Graph(model)
        done = idea.apply(graph)
        found |= bool(done.places or done.left)
        for reason, count in Counter(done.left).items():
            console.say(f"not rewritten: {reason}{f' (of {count} places)' * (count > 1)}")
        if done.places:
            model = _proved(model, graph.finished(), f"{idea.words} ({done.places})", shapes)
    if not found:
        console.say("not rewritten: the graph has the pattern of no exact rewrite")
    return model


def _proved(
    before: onnx.ModelProto, after: onnx.ModelProto, what: str, shapes: Sequence[tuple[int, ...]]
) -> onnx.ModelProto:
    """`after`, where it computes what `before` does; which of them, is said."""
    try:
        onnx.checker.check_model(after)
        differs = difference(before, after, shapes)
    except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
        console.warn(f"not rewritten: {what}: {str(error).splitlines()[0]}")
        return before
    if not differs <= ROUNDING:
        console.warn(f"not rewritten: {what}: it would differ by {differs:.2g}")
        return before
    console.say(f"rewritten: {what}; differs by {differs:.1g} at most")
    return after


def difference(
    before: onnx.ModelProto, after: onnx.ModelProto, shapes: Sequence[tuple[int, ...]]
) -> float:
    """Of what both give for noise, not held to 0..1, over the largest value or 1."""
    sessions = [open_graph(_unheld(model)) for model in (before, after)]
    rng, found = np.random.default_rng(0), []
    for shape in shapes:
        lr = rng.random(shape, dtype=np.float32)
        one, other = (session.run(None, {"lr": lr})[0] for session in sessions)
        found.append(np.abs(one - other).max() / max(1, np.abs(one).max()))
    return float(np.max(found))


def _unheld(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` without the Clip at its end, behind which a defect may not show."""
    graph = Graph(model)
    last = graph.maker("sr")
    if last is None or last.op_type != "Clip" or graph.only_user(last.input[0]) is None:
        return model
    same = onnx.helper.make_node("Identity", last.input[:1], last.output, "sr")
    graph.replace([last], [same])
    return graph.finished()
