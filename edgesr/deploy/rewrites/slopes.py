"""PRelu whose slopes are all the same becomes LeakyRelu, or Relu, which runtimes put into the
convolution before it."""

from __future__ import annotations

from onnx import helper

from edgesr.deploy.rewrites.graph import Graph, Outcome


def one_slope(graph: Graph) -> Outcome:
    """Of each PRelu of the graph."""
    done, unlike = Outcome(), 0
    for prelu in graph.of("PRelu"):
        slopes = graph.constant(prelu.input[1])
        if slopes is None or slopes.max() != slopes.min():
            unlike += 1
            continue
        slope = float(slopes.flat[0])
        operator = "LeakyRelu" if slope else "Relu"
        new = helper.make_node(operator, prelu.input[:1], prelu.output, prelu.name)
        if slope:
            new.attribute.append(helper.make_attribute("alpha", slope))
        graph.replace([prelu], [new])
        done.places += 1
    if unlike:
        done.left.append(f"{unlike} PRelu have a slope of each channel")
    return done
