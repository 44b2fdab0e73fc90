"""DepthToSpace(r) > Conv to a few channels becomes Conv > DepthToSpace(r), at low resolution.

The arithmetic is `models.rewrite.before_shuffle_conv`'s.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import nn

from edgesr.deploy.rewrites.graph import Graph, Outcome, attribute, is_plain
from edgesr.models.rewrite import before_shuffle_conv
from edgesr.runtimes.channel_order import dcr_order

FEW = 8
"""Channels. A convolution to fewer is what runtimes are slow at; one to more does its work well
where it is, and would have up to r * r times as much of it at low resolution."""


def low_resolution_tail(graph: Graph) -> Outcome:
    """Behind each DepthToSpace."""
    done = Outcome()
    for shuffle in graph.of("DepthToSpace"):
        conv = graph.only_user(shuffle.output[0])
        if conv is None or conv.op_type != "Conv":
            continue
        filters = graph.constant(conv.input[1])
        bias = graph.constant(conv.input[2]) if len(conv.input) > 2 else 0
        if filters is None or bias is None or not is_plain(conv, filters.shape[2:]):
            done.left.append("a convolution behind DepthToSpace has another step, group or border")
        elif len(filters) >= FEW:
            done.left.append(
                f"a convolution behind DepthToSpace gives {len(filters)} channels: at low "
                "resolution it would have more to do"
            )
        else:
            _move(graph, shuffle, conv, filters, np.broadcast_to(bias, len(filters)))
            done.places += 1
    return done


def _move(
    graph: Graph,
    shuffle: onnx.NodeProto,
    conv: onnx.NodeProto,
    filters: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> None:
    r = attribute(shuffle, "blocksize", 0)
    moved = before_shuffle_conv(_layer(filters, bias), r)
    weight, shift = (each.detach().numpy() for each in moved.parameters())
    if attribute(shuffle, "mode", "DCR") == "DCR":
        given, taken = (dcr_order(n, r) for n in weight.shape[:2])
        weight, shift = weight[given][:, taken], shift[given]
    between, side = f"{conv.output[0]}_channels", weight.shape[2]
    names = [
        graph.constant_of(f"{between}_{part}", values)
        for part, values in (("filters", weight), ("bias", shift))
    ]
    first = helper.make_node(
        "Conv",
        [shuffle.input[0], *names],
        [between],
        conv.name,
        kernel_shape=[side, side],
        pads=[side // 2] * 4,
    )
    second = helper.make_node("DepthToSpace", [between], conv.output, shuffle.name)
    second.attribute.extend(shuffle.attribute)
    graph.replace([shuffle, conv], [first, second])


def _layer(filters: NDArray[np.float32], bias: NDArray[np.float32]) -> nn.Conv2d:
    outputs, inputs, side, _ = filters.shape
    layer = nn.Conv2d(inputs, outputs, side, padding=side // 2).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(filters.copy()))
    layer.bias.copy_(torch.from_numpy(bias.copy()))  # type: ignore[union-attr]
    return layer
