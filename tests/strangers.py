"""Model files as other projects have them."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_cubics(path: Path, scale: int) -> None:
    """An ONNX file without a contract: one picture, BGR or RGB of 0..255, channels last, enlarged
    by cubics."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Resize", ["planes", "", "factors"], ["large"], mode="cubic"),
        helper.make_node("Transpose", ["large"], ["y"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, None, None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, None, None, 3])],
        [helper.make_tensor("factors", TensorProto.FLOAT, [4], [1.0, 1.0, scale, scale])],
    )
    sets = [helper.make_opsetid("", 17)]
    onnx.save_model(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
