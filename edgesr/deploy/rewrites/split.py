"""PRelu with a slope of each channel becomes Relu, two scales of each channel, and their sum.

    PRelu(x) = (1 - a) Relu(x) + a x

The scales are convolutions of one pixel and one channel. ONNX Runtime runs these in its blocked
layout on x86, where PRelu makes it leave that; a runtime that has PRelu in a convolution loses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from edgesr.deploy.rewrites.graph import Graph, Outcome


def split_slopes(graph: Graph) -> Outcome:
    """Of each PRelu of the graph whose slopes are of channels."""
    done = Outcome()
    for prelu in graph.of("PRelu"):
        slopes = graph.constant(prelu.input[1])
        if slopes is None or slopes.ndim not in (3, 4) or slopes.shape[-3] != slopes.size:
            done.left.append("a PRelu has one slope, or computed ones")
            continue
        slopes = slopes.reshape(-1, 1, 1, 1)
        x, y = prelu.input[0], prelu.output[0]
        nodes = [
            helper.make_node("Relu", [x], [f"{y}_relu"], f"{y}_relu"),
            _scale(graph, f"{y}_relu", f"{y}_over", 1 - slopes),
            _scale(graph, x, f"{y}_all", slopes),
            helper.make_node("Add", [f"{y}_over", f"{y}_all"], [y], f"{y}_sum"),
        ]
        graph.replace([prelu], nodes)
        done.places += 1
    return done


def _scale(graph: Graph, taken: str, given: str, scales: NDArray[np.float32]) -> NodeProto:
    name = graph.constant_of(f"{given}_scales", scales)
    groups = len(scales)
    return helper.make_node(
        "Conv", [taken, name], [given], given, group=groups, kernel_shape=[1, 1]
    )
