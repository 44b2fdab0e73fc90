"""DepthToSpace > activation becomes activation > DepthToSpace: a convolution before both then does
the activation, too."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgesr.deploy.rewrites.graph import Graph, Outcome, attribute

ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "Tanh", "HardSwish", "Clip")


def before_shuffle(graph: Graph) -> Outcome:
    """Behind each DepthToSpace; the slopes of a PRelu are repeated."""
    done = Outcome()
    for shuffle in graph.of("DepthToSpace"):
        activation = graph.only_user(shuffle.output[0])
        if activation is None or activation.op_type not in ACTIVATIONS:
            continue
        if any(output.name == activation.output[0] for output in graph.proto.output):
            continue  # the Clip at the end, which holds a picture to its range
        others = list(activation.input[1:])
        if activation.op_type == "PRelu":
            slopes = graph.constant(others[0])
            if slopes is None or not _per_channel(slopes):
                done.left.append("a PRelu behind DepthToSpace has computed or odd slopes")
                continue
            repeated = _repeated(slopes, shuffle)
            others = [graph.constant_of(f"{activation.output[0]}_slopes", repeated)]
        between = f"{shuffle.output[0]}_activated"
        first = helper.make_node(
            activation.op_type, [shuffle.input[0], *others], [between], activation.name
        )
        first.attribute.extend(activation.attribute)
        second = helper.make_node("DepthToSpace", [between], activation.output, shuffle.name)
        second.attribute.extend(shuffle.attribute)
        graph.replace([shuffle, activation], [first, second])
        done.places += 1
    return done


def _per_channel(slopes: NDArray[np.float32]) -> bool:
    return slopes.size == 1 or (slopes.ndim in (3, 4) and slopes.shape[-3] == slopes.size)


def _repeated(slopes: NDArray[np.float32], shuffle: onnx.NodeProto) -> NDArray[np.float32]:
    """(C r^2, 1, 1), a slope of each channel before the shuffle."""
    if slopes.size == 1:
        return slopes.reshape(1, 1, 1)
    times = attribute(shuffle, "blocksize", 0) ** 2
    way = np.repeat if attribute(shuffle, "mode", "DCR") == "CRD" else np.tile
    repeated: NDArray[np.float32] = way(slopes.ravel(), times).reshape(-1, 1, 1)
    return repeated
