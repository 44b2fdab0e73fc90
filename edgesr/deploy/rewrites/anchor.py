"""DepthToSpace(r) + an enlarged picture becomes DepthToSpace(r) of a sum at low resolution.

Resize by r, of whatever kind, makes of each pixel's neighbourhood the r * r pixels in its place: a
convolution to r * r channels a colour, whose filters are what Resize makes of a single pixel.
Beyond the border Resize repeats the last pixel, and so does Pad.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgesr.deploy.rewrites.graph import Graph, Outcome, attribute
from edgesr.inference.session import open_bytes
from edgesr.runtimes.channel_order import dcr_order

FAR = 4
"""LR pixels: no filter of Resize that enlarges reaches further."""


def low_resolution_anchor(graph: Graph) -> Outcome:
    """Of each Add of the graph."""
    done = Outcome()
    for add in graph.of("Add"):
        makers = {node.op_type: node for name in add.input if (node := graph.maker(name))}
        shuffle, resize = makers.get("DepthToSpace"), makers.get("Resize")
        if shuffle is None or resize is None:
            continue
        r = attribute(shuffle, "blocksize", 0)
        factors = graph.constant(resize.input[2]) if len(resize.input) == 3 else None
        channels = graph.channels(resize.input[0])
        if factors is None or channels is None:
            done.left.append("what Resize, added behind DepthToSpace, enlarges by is computed")
        elif list(factors) != [1, 1, r, r]:
            done.left.append(f"Resize, added behind DepthToSpace({r}), enlarges by {factors[2:]}")
        elif graph.only_user(shuffle.output[0]) is None:
            done.left.append("what DepthToSpace gives is used before the enlarged input is added")
        else:
            _add_before(graph, shuffle, resize, add, _filters(graph, resize, r), channels)
            done.places += 1
    return done


def _filters(graph: Graph, resize: onnx.NodeProto, r: int) -> NDArray[np.float32]:
    """(r * r, side, side): what each pixel that it makes takes of the pixels around its place."""
    lone = onnx.NodeProto()
    lone.CopyFrom(resize)
    lone.input[0], lone.output[0] = "x", "y"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * 4) for n in "xy"]
    factors = numpy_helper.from_array(np.array([1, 1, r, r], np.float32), lone.input[2])
    body = helper.make_graph([lone], "resize", ends[:1], ends[1:], [factors])
    region = [numpy_helper.from_array(np.array([], np.float32), name) for name in lone.input[1:2]]
    body.initializer.extend(each for each in region if each.name)
    model = helper.make_model(body, opset_imports=graph.opsets, ir_version=8)
    side = 2 * FAR + 1
    pixel = np.zeros((1, 1, side, side), np.float32)
    pixel[..., FAR, FAR] = 1
    made = open_bytes(model.SerializeToString()).run(None, {"x": pixel})[0]
    cells = made.reshape(side, r, side, r).transpose(1, 3, 0, 2).reshape(r * r, side, side)
    filters = cells[:, ::-1, ::-1]
    reach = int(np.abs(np.argwhere(filters)[:, 1:] - FAR).max())
    near = slice(FAR - reach, FAR + reach + 1)
    found: NDArray[np.float32] = filters[:, near, near]
    return found


def _add_before(
    graph: Graph,
    shuffle: onnx.NodeProto,
    resize: onnx.NodeProto,
    add: onnx.NodeProto,
    filters: NDArray[np.float32],
    channels: int,
) -> None:
    r, side = attribute(shuffle, "blocksize", 0), filters.shape[1]
    weight = np.zeros((channels, r * r, channels, side, side), np.float32)
    weight[range(channels), :, range(channels)] = filters
    weight = weight.reshape(channels * r * r, channels, side, side)
    if attribute(shuffle, "mode", "DCR") == "DCR":
        weight = weight[dcr_order(len(weight), r)]
    name, picture = add.output[0], resize.input[0]
    nodes: list[onnx.NodeProto] = []
    if side > 1:
        edge = side // 2
        pads = graph.constant_of(f"{name}_pads", np.array([0, 0, edge, edge] * 2, np.int64))
        picture = f"{name}_padded"
        nodes.append(
            helper.make_node("Pad", [resize.input[0], pads], [picture], picture, mode="edge")
        )
    own = graph.constant_of(f"{name}_filters", weight)
    repeated, channel_sum = f"{name}_repeated", f"{name}_channels"
    nodes += [
        helper.make_node("Conv", [picture, own], [repeated], repeated, kernel_shape=[side, side]),
        helper.make_node("Add", [shuffle.input[0], repeated], [channel_sum], channel_sum),
        helper.make_node("DepthToSpace", [channel_sum], add.output, shuffle.name),
    ]
    nodes[-1].attribute.extend(shuffle.attribute)
    alone = [resize] if graph.only_user(resize.output[0]) is not None else []
    graph.replace([shuffle, add, *alone], nodes)
