"""Conv > BatchNormalization becomes the convolution that computes both."""

from __future__ import annotations

import numpy as np
from onnx import helper

from edgesr.deploy.rewrites.graph import Graph, Outcome, attribute


def fold_batch_norm(graph: Graph) -> Outcome:
    """Scale and shift of each, fixed after training, go into the filters; in float64."""
    done = Outcome()
    for norm in graph.of("BatchNormalization"):
        conv = graph.maker(norm.input[0])
        facts = [graph.constant(name) for name in norm.input[1:5]]
        filters = graph.constant(conv.input[1]) if conv is not None else None
        if conv is None or conv.op_type != "Conv" or graph.only_user(norm.input[0]) is None:
            done.left.append("a BatchNormalization is not behind a convolution of its own")
        elif filters is None or any(each is None for each in facts):
            done.left.append("a BatchNormalization, or its convolution, has computed weights")
        else:
            gain, shift, mean, variance = (np.asarray(each, np.float64) for each in facts)
            gain = gain / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
            stated = graph.constant(conv.input[2]) if len(conv.input) > 2 else None
            bias = shift + gain * ((0 if stated is None else stated) - mean)
            weights = [filters * gain[:, None, None, None], bias]
            names = [
                graph.constant_of(f"{norm.output[0]}_{part}", values.astype(filters.dtype))
                for part, values in zip(("filters", "bias"), weights, strict=True)
            ]
            folded = helper.make_node("Conv", [conv.input[0], *names], norm.output, conv.name)
            folded.attribute.extend(conv.attribute)
            graph.replace([conv, norm], [folded])
            done.places += 1
    return done
