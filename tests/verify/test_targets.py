"""The static check of targets: what each delegate would take of graphs of all four kinds."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgesr.bundle.card import read_card
from edgesr.console import Terminal
from edgesr.deploy.bytes_io import to_bytes_io
from edgesr.deploy.export import export_onnx
from edgesr.errors import ModelError, VerifyError
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Recipe, Rewrites, Srgan
from edgesr.targets import coreml, nnapi, tensorrt
from edgesr.targets.delegate import judge, partitions
from edgesr.targets.graph import Node, nodes
from edgesr.targets.present import tables
from edgesr.verify.targets import TARGETS, check_bundle, check_target

Evidence = dict[str, Any]
FLOAT, HALF, UINT8, INT8 = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.UINT8,
    TensorProto.INT8,
)
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Files that edgesr exports: "n4", "per-channel" or "edge", in CRD or DCR order."""
    folder = tmp_path_factory.mktemp("targets")
    specs = {
        "n4": Srgan(blocks=1, channels=4),
        "per-channel": Srgan(blocks=1, channels=4, prelu="channel"),
        "edge": Edge(channels=4, depth=1),
        "as deep as n4": Srgan(blocks=4, channels=4),
        "as deep as edge-s": Edge(channels=4, depth=8),
    }

    def export(name: str, order: str) -> Path:
        path = folder / f"{name}-{order}.onnx"
        if not path.exists():
            torch.manual_seed(0)
            module = zoo.build(specs[name]).eval()
            clipped = Rewrites(clip=name == "per-channel")
            settings = Export.model_validate({"depth_to_space": order, "rewrites": clipped})
            export_onnx(module, path, settings, metadata={})
        return path

    return export


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a graph from `lr` (n, 3, h, w) of `kind` to `sr`."""

    def saved(
        body: list[onnx.NodeProto],
        tensors: dict[str, np.ndarray] | None = None,
        kind: int = FLOAT,
    ) -> Path:
        lr = helper.make_tensor_value_info("lr", kind, ["batch", 3, "height", "width"])
        sr = helper.make_tensor_value_info("sr", kind, ["batch", "channels", "rows", "columns"])
        values = [numpy_helper.from_array(value, name) for name, value in (tensors or {}).items()]
        graph = helper.make_graph(body, "g", [lr], [sr], values)
        opset = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
        return path

    return saved


def looks(path: Path, target: str, delegate: int = 0) -> tuple[Evidence, Evidence]:
    """What is taken as exported, and with shapes fixed."""
    found = check_target(path, target, "24x16")["delegates"][delegate]
    return found["as_exported"], found["fixed"]


def left(look: Evidence) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in look["falls_back"]:
        counts[row["operator"]] = counts.get(row["operator"], 0) + row["count"]
    return counts


def only_remedy(look: Evidence) -> str:
    (remedy,) = {row["remedy"] for row in look["falls_back"]}
    return str(remedy)


def shown(rows: list[Evidence]) -> str:
    """What a terminal of 80 columns shows; nothing in it is cut off."""
    out = io.StringIO()
    console = Terminal(file=out, width=80)
    for part in tables(rows):
        console.print(part)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "…" not in out.getvalue()
    return out.getvalue()


def test_an_unknown_target_is_an_error_with_the_list() -> None:
    with pytest.raises(VerifyError, match=r"target tpu is not known.*coreml, nnapi, xnnpack, qnn"):
        check_target(Path("model.onnx"), "tpu")


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is no ONNX model"):
        check_target(path, "web")
    with pytest.raises(ModelError, match="is no ONNX model"):
        check_target(tmp_path / "missing.onnx", "web")


@pytest.mark.parametrize("name", ["n4", "edge"])
@pytest.mark.parametrize("delegate", [0, 1], ids=["ML Program", "Neural Network"])
def test_core_ml_leaves_crd_and_takes_all_of_dcr(
    real: Callable[[str, str], Path], name: str, delegate: int
) -> None:
    exported, fixed = looks(real(name, "CRD"), "coreml", delegate)
    assert set(left(exported)) == {"DepthToSpace"}
    assert 'export.depth_to_space = "DCR"' in only_remedy(exported)
    assert set(left(fixed)) == (set() if delegate == 0 else {"DepthToSpace"})
    for look in looks(real(name, "DCR"), "coreml", delegate):
        assert left(look) == {}
        assert look["partitions"] == 1


@pytest.mark.parametrize("target", ["nnapi", "qnn", "xnnpack"])
def test_shapes_that_are_not_fixed_are_refused_where_documented_so(
    real: Callable[[str, str], Path], target: str
) -> None:
    exported, fixed = looks(real("edge", "DCR"), target)
    assert exported["taken"] == exported["partitions"] == 0
    assert any("Fix the shapes" in row["remedy"] for row in exported["falls_back"])
    assert fixed["taken"] > 0
    assert not any("Fix the shapes" in row["remedy"] for row in fixed["falls_back"])


@pytest.mark.parametrize("name", ["n4", "edge"])
def test_tensorrt_and_the_web_take_all_nodes_at_any_shape(
    real: Callable[[str, str], Path], name: str
) -> None:
    for target in ("tensorrt", "web"):
        for found in check_target(real(name, "CRD"), target)["delegates"]:
            assert found["as_exported"]["falls_back"] == found["fixed"]["falls_back"] == []


def test_xnnpack_takes_relu_with_its_convolution_and_leaky_relu_not(
    real: Callable[[str, str], Path],
) -> None:
    _, edge = looks(real("edge", "CRD"), "xnnpack")
    assert left(edge) == {"DepthToSpace": 1, "Add": 1}
    _, n4 = looks(real("n4", "CRD"), "xnnpack")
    assert set(left(n4)) == {"LeakyRelu", "Add", "DepthToSpace"}


def test_slopes_per_channel_get_the_remedy_that_helps_on_that_target(
    real: Callable[[str, str], Path],
) -> None:
    path = real("per-channel", "DCR")
    _, webgpu = looks(path, "web", 1)
    assert set(left(webgpu)) == {"PRelu"}
    assert "LeakyRelu" in only_remedy(webgpu)
    _, xnnpack = looks(path, "xnnpack")
    assert not any("LeakyRelu" in row["remedy"] for row in xnnpack["falls_back"])
    _, network = looks(path, "coreml", 1)
    assert "slopes of shape (1, 4, 1, 1)" in network["falls_back"][0]["why"]


def test_nnapi_takes_no_clip_to_the_unit_range(real: Callable[[str, str], Path]) -> None:
    _, fixed = looks(real("per-channel", "DCR"), "nnapi")
    assert left(fixed) == {"Clip": 1}
    assert "export.rewrites.clip = false" in only_remedy(fixed)


SCALES = {"scales": np.array([1, 1, 4, 4], np.float32)}
NEAREST = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


@pytest.mark.parametrize(
    ("changed", "refusing"),
    [
        ({}, set()),
        ({"nearest_mode": "ceil"}, {"coreml", "nnapi", "qnn"}),
        ({"coordinate_transformation_mode": "half_pixel"}, {"coreml", "nnapi"}),
        ({"mode": "cubic"}, {"coreml", "nnapi", "qnn", "tensorrt", "web"}),
    ],
    ids=["as edgesr", "ceil", "half pixel", "cubic"],
)
def test_a_resize_other_than_edgesrs_is_refused_where_documented_so(
    write: Write, changed: dict[str, str], refusing: set[str]
) -> None:
    node = helper.make_node("Resize", ["lr", "", "scales"], ["sr"], **(NEAREST | changed))
    path = write([node], SCALES)
    found = set()
    for target in set(TARGETS) - {"xnnpack"}:
        delegates = check_target(path, target)["delegates"]
        found |= {target} if any(d["fixed"]["falls_back"] for d in delegates) else set()
    assert found == refusing


def test_scales_that_are_not_whole_or_not_constant_are_refused_by_core_ml(write: Write) -> None:
    scales = {"scales": np.array([1, 1, 1.5, 1.5], np.float32)}
    resize = helper.make_node("Resize", ["lr", "", "scales"], ["sr"], **NEAREST)
    _, fixed = looks(write([resize], scales), "coreml")
    assert "not whole" in fixed["falls_back"][0]["why"]
    computed = helper.make_node("Identity", ["constant"], ["scales"])
    _, fixed = looks(write([computed, resize], {"constant": scales["scales"]}), "coreml")
    assert "input 2 is computed" in fixed["falls_back"][0]["why"]


@pytest.mark.parametrize(
    ("target", "delegate", "taken"),
    [("coreml", 0, 1), ("coreml", 1, 0), ("nnapi", 0, 0), ("xnnpack", 0, 0), ("tensorrt", 0, 1)],
)
def test_half_precision_is_taken_where_documented(
    write: Write, target: str, delegate: int, taken: int
) -> None:
    weight = {"w": np.ones((4, 3, 3, 3), np.float16)}
    path = write([helper.make_node("Conv", ["lr", "w"], ["sr"])], weight, HALF)
    _, fixed = looks(path, target, delegate)
    assert fixed["taken"] == taken
    if not taken:
        assert "fp32 variant" in only_remedy(fixed)


def quantised(activation: int, weight: int, zero: int = 0) -> tuple[Any, dict[str, np.ndarray]]:
    """lr > Q > DQ > Conv > Q > DQ > sr, with weights behind a DQ of their own."""
    kinds = {UINT8: np.uint8, INT8: np.int8}
    tensors = {
        "s": np.array(0.1, np.float32),
        "z": np.array(zero, kinds[activation]),
        "w": np.ones((4, 3, 3, 3), kinds[weight]),
        "wz": np.array(0, kinds[weight]),
    }
    body = [
        helper.make_node("QuantizeLinear", ["lr", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["b"]),
        helper.make_node("DequantizeLinear", ["w", "s", "wz"], ["v"]),
        helper.make_node("Conv", ["b", "v"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["sr"]),
    ]
    return body, tensors


@pytest.mark.parametrize(
    ("target", "activation", "weight", "zero", "kept"),
    [
        ("nnapi", UINT8, INT8, 3, {}),
        ("nnapi", INT8, INT8, 0, {"Conv": 1, "DequantizeLinear": 2, "QuantizeLinear": 1}),
        ("xnnpack", INT8, INT8, 0, {"QuantizeLinear": 1, "DequantizeLinear": 1}),
        ("xnnpack", UINT8, INT8, 0, {"Conv": 1, "DequantizeLinear": 3, "QuantizeLinear": 2}),
        ("qnn", UINT8, INT8, 3, {}),
        ("tensorrt", INT8, INT8, 0, {}),
        ("tensorrt", INT8, INT8, 3, {"QuantizeLinear": 2, "DequantizeLinear": 2}),
        ("tensorrt", UINT8, INT8, 0, {"QuantizeLinear": 2, "DequantizeLinear": 2}),
        ("coreml", UINT8, INT8, 0, {"QuantizeLinear": 2, "DequantizeLinear": 3}),
    ],
)
def test_a_quantised_convolution_is_taken_with_the_types_that_are_documented(
    write: Write, target: str, activation: int, weight: int, zero: int, kept: dict[str, int]
) -> None:
    _, fixed = looks(write(*quantised(activation, weight, zero)), target)
    assert left(fixed) == kept


def test_tensorrt_is_not_said_to_take_biases_of_int32(write: Write) -> None:
    """Its list of operators has no such DequantizeLinear, and its parser has refused them."""
    body, tensors = quantised(INT8, INT8)
    tensors["bias"] = np.ones(4, np.int32)
    body.insert(2, helper.make_node("DequantizeLinear", ["bias", "s"], ["b32"]))
    body[4].input.append("b32")
    _, fixed = looks(write(body, tensors), "tensorrt")
    assert left(fixed) == {"DequantizeLinear": 1}
    assert "of type int32, documented is int8" in fixed["falls_back"][0]["why"]
    assert "--s8s8-symmetric" in only_remedy(fixed)


def test_what_serves_a_refused_operation_is_refused_with_it(write: Write) -> None:
    body, tensors = quantised(UINT8, INT8)
    body[3] = helper.make_node("LeakyRelu", ["b"], ["c"])
    del body[2]
    _, fixed = looks(write(body, tensors), "nnapi")
    assert left(fixed) == {"LeakyRelu": 1, "DequantizeLinear": 1, "QuantizeLinear": 1}
    assert fixed["falls_back"][0]["why"] == "not documented for quantised values"


def test_the_variant_for_bytes_loses_what_handles_bytes(
    real: Callable[[str, str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "model.uint8-io.onnx"
    onnx.save(to_bytes_io(onnx.load(real("edge", "DCR"))), path)
    _, program = looks(path, "coreml")
    assert left(program) == {"Transpose": 2, "Cast": 2, "Floor": 1}
    exported, _ = looks(path, "tensorrt")
    assert left(exported) == {"Transpose": 2}
    assert exported["partitions"] == 1
    exported, _ = looks(path, "web", 1)
    assert exported["falls_back"] == []


def test_an_operator_of_another_domain_is_not_taken_for_onnxs_own(write: Write) -> None:
    path = write([helper.make_node("Relu", ["lr"], ["sr"], domain="com.example")])
    graph = nodes(onnx.load(path), size=(1, 8, 8))
    assert graph[0].op == "com.example:Relu"
    assert judge(coreml.ML_PROGRAM, graph, 17)[0] is not None


def test_constants_written_as_nodes_count_as_constants_and_not_as_nodes(write: Write) -> None:
    scales = numpy_helper.from_array(SCALES["scales"], "value")
    constant = helper.make_node("Constant", [], ["scales"], value=scales)
    resize = helper.make_node("Resize", ["lr", "", "scales"], ["sr"], **NEAREST)
    evidence = check_target(write([constant, resize]), "coreml")
    assert evidence["nodes"] == 1
    assert evidence["delegates"][0]["fixed"]["taken"] == 1


def test_an_opset_outside_the_documented_range_is_refused(write: Write) -> None:
    graph = nodes(onnx.load(write([helper.make_node("Relu", ["lr"], ["sr"])])))
    assert judge(tensorrt.TENSORRT, graph, 24) == [None]
    (fault,) = judge(tensorrt.TENSORRT, graph, 25)
    assert fault is not None
    assert fault.remedy == "Set export.opset = 24 or lower."


def graph_of(*before: list[int]) -> list[Node]:
    return [Node("Relu", i, {}, [], [], i, places, "") for i, places in enumerate(before)]


@pytest.mark.parametrize(
    ("before", "taken", "pieces"),
    [
        ([[], [0], [1]], "yyy", 1),
        ([[], [0], [1]], "nnn", 0),
        ([[], [0], [1]], "yny", 2),
        ([[], [0], [1]], "nyn", 1),
        ([[], [0], [0], [1, 2]], "ynyy", 2),
        ([[], [], [0, 1]], "nyy", 1),
        ([[], [0], [1], [2], [3]], "ynyny", 3),
    ],
    ids=["all", "none", "cut in two", "middle", "a branch on the CPU", "CPU first", "three"],
)
def test_partitions_are_the_changes_of_hands(
    before: list[list[int]], taken: str, pieces: int
) -> None:
    assert partitions(graph_of(*before), [letter == "y" for letter in taken]) == pieces


@pytest.mark.parametrize(
    ("file", "listed"),
    [
        ("coreml_supported_mlprogram_ops.md", coreml.ML_PROGRAM_OPERATORS),
        ("coreml_supported_neuralnetwork_ops.md", coreml.NEURAL_NETWORK_OPERATORS),
        ("nnapi_supported_ops.md", nnapi.OPERATORS),
    ],
)
def test_the_operators_are_those_of_the_file_that_onnxruntime_ships(
    file: str, listed: frozenset[str]
) -> None:
    path = Path(onnxruntime.__file__).parent / "tools" / "mobile_helpers" / file
    if f"onnxruntime {onnxruntime.__version__}" not in coreml.SHIPPED or not path.exists():
        pytest.skip(f"needs the file {coreml.SHIPPED}")
    named = re.findall(r"^\|(ai\.onnx|com\.microsoft)[:.](\w+)\|", path.read_text(), re.MULTILINE)
    shipped = {name if domain == "ai.onnx" else f"{domain}:{name}" for domain, name in named}
    assert {name.replace("Argmax", "ArgMax") for name in shipped} == listed


def test_the_table_of_the_documentation_is_what_the_check_says(
    real: Callable[[str, str], Path],
) -> None:
    page = Path(__file__).parents[2] / "docs/targets.md"
    cell = r"(?:none|\d+ in \d+)"
    row = rf"^\| ([^|]+) \| ({cell}(?: \| {cell}){{3}}) \|$"
    rows = dict(re.findall(row, page.read_text(), re.MULTILINE))
    networks = ("as deep as n4", "as deep as edge-s")
    for target in TARGETS:
        evidence = [check_target(real(name, "DCR"), target) for name in networks]
        for i, delegate in enumerate(TARGETS[target]):
            looked = [
                look
                for found in evidence
                for look in (found["delegates"][i]["as_exported"], found["delegates"][i]["fixed"])
            ]
            cells = [f"{x['taken']} in {x['partitions']}" if x["taken"] else "none" for x in looked]
            assert rows.pop(delegate.name) == " | ".join(cells)
    assert not rows


def test_every_source_is_named_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    for delegates in TARGETS.values():
        for delegate in delegates:
            assert delegate.name in page
            assert delegate.sources
            for source in delegate.sources:
                assert source.url in page
                assert source.version in page


def test_every_key_that_a_remedy_names_is_a_key_of_recipes(
    real: Callable[[str, str], Path],
) -> None:
    text = ""
    for name in ("n4", "per-channel"):
        for target in TARGETS:
            for found in check_target(real(name, "CRD"), target)["delegates"]:
                for look in (found["as_exported"], found["fixed"]):
                    text += " ".join(row["remedy"] for row in look["falls_back"])
    named = set(re.findall(r"\b((?:export|model)(?:\.\w+)+) =", text))
    assert "export.depth_to_space" in named
    recipe = Recipe(name="x", model=Srgan()).model_dump()
    for key in named:
        table: Any = recipe
        for part in key.split("."):
            assert part in table, key
            table = table[part]


def test_every_variant_of_a_bundle_is_looked_at_and_80_columns_hold_it(exported: Path) -> None:
    folder = exported / "small"
    rows = check_bundle(folder, read_card(folder), list(TARGETS), "16x12")
    assert [row.target for row in rows] == list(TARGETS)
    assert {row.variant for row in rows} == {"fp32"}
    text = shown(rows)
    assert "Nothing was run on a device" in text
    assert "Fix the shapes" in " ".join(text.split())
    assert "export.depth_to_space" not in text
    assert not any(row.run_on_device for row in rows)


def test_a_bundle_with_an_unknown_target_is_refused_before_anything_is_measured(
    exported: Path,
) -> None:
    with pytest.raises(VerifyError, match="target phone is not known"):
        check_bundle(exported / "small", read_card(exported / "small"), ["phone"], "16x12")
