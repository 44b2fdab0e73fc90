"""Files for pictures of one size: the same function, every shape known, any picture in windows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from edgesr import Upscaler
from edgesr.bundle.card import read_card
from edgesr.bundle.check import check
from edgesr.bundle.records.schemas import schema
from edgesr.deploy.fixed import check_window
from edgesr.deploy.sight import Sight
from edgesr.deploy.stage import write_bundle
from edgesr.deploy.variants import copies
from edgesr.errors import DataError, ExportError
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Recipe
from edgesr.verify.stage import verify
from edgesr.verify.targets import check_target
from edgesr.workspace import Workspace

FREE = ("fp32", "fp16", "int8", "uint8-io")


def test_each_file_has_a_copy_that_the_card_names_with_its_shape(fixed: Path) -> None:
    variants = read_card(fixed).variants
    assert list(variants) == [*FREE, *(f"{name}-40x24" for name in FREE)]
    assert variants["fp32-40x24"].input.shape == [1, 3, 24, 40]
    assert variants["uint8-io-40x24"].output.shape == [1, 96, 160, 3]
    assert variants["int8-40x24"].needs == variants["int8"].needs
    assert [variants[name].window for name in ("int8", "int8-40x24")] == [None, (24, 40)]


def test_the_card_states_the_memory_of_a_pixel_for_each_file(fixed: Path) -> None:
    """At least the float32 result that is handed over; the schema beside the card knows the key."""
    for name, facts in read_card(fixed).variants.items():
        assert facts.bytes_per_pixel is not None
        if name in FREE:
            bytes_of_a_value = 1 if name == "uint8-io" else 4
            assert facts.bytes_per_pixel >= 3 * 16 * bytes_of_a_value
    rules = json.loads((fixed / "card.schema.json").read_text())
    assert rules == schema("card")
    assert "bytes_per_pixel" in rules["$defs"]["Variant"]["properties"]


@pytest.mark.parametrize("name", FREE)
def test_no_shape_in_the_graph_is_free(fixed: Path, name: str) -> None:
    model = onnx.load(fixed / f"model.{name}-40x24.onnx")
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    dims = [dim for value in values for dim in value.type.tensor_type.shape.dim]
    assert dims
    assert all(dim.HasField("dim_value") for dim in dims)
    made = {name for node in model.graph.node for name in node.output}
    assert made <= {value.name for value in values}


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("shape", [(24, 40, 3), (61, 90, 3), (61, 90), (61, 90, 4)])
def test_a_picture_in_windows_is_the_picture_in_one_piece(
    fixed: Path, name: str, shape: tuple[int, ...]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    upscaler = Upscaler(fixed, variant=f"{name}-40x24", provider="cpu")
    assert upscaler.window == (40, 24)
    expected = Upscaler(fixed, variant=name, provider="cpu")(image).astype(int)
    assert np.abs(upscaler(image) - expected).max() <= (1 if name == "fp16" else 0)


def test_a_small_picture_is_mirrored_up_to_a_window(fixed: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 60, 3), dtype=np.uint8)
    large = np.pad(image, ((0, 4), (0, 0), (0, 0)), mode="reflect")
    large = np.pad(large, ((0, 15), (0, 0), (0, 0)), mode="edge")
    small, whole = (
        Upscaler(fixed, variant=variant, provider="cpu") for variant in ("fp32-40x24", "fp32")
    )
    np.testing.assert_array_equal(small(image), whole(large)[:20])
    np.testing.assert_array_equal(small.batch([image, image])[1], small(image))


def test_a_tile_of_another_size_is_refused_and_so_is_too_little_memory(fixed: Path) -> None:
    with pytest.raises(DataError, match=r"tile = 32: .* takes windows of 40 x 24 alone"):
        Upscaler(fixed, variant="int8-40x24", tile=32)
    upscaler = Upscaler(fixed, variant="int8-40x24", memory="1MB")
    with pytest.raises(DataError, match=r"a window of 40 x 24 pixels.* does not fit into 1MB"):
        upscaler(np.zeros((30, 50, 3), np.uint8))


def test_golden_vectors_hold_and_answer_for_the_windows(fixed: Path) -> None:
    rows = check(fixed)
    assert {row.variant for row in rows} == set(read_card(fixed).variants)
    assert all(row.passed for row in rows)
    golden = fixed / "golden"
    whole, window = (golden / f"photograph.{name}.f32" for name in ("int8", "int8-40x24"))
    assert whole.stat().st_size == window.stat().st_size
    assert whole.read_bytes() != window.read_bytes()  # its border is not where the network pads


def test_they_are_verified_as_the_others_are(fixed: Path, tmp_path: Path) -> None:
    evidence = verify(fixed, providers=["cpu"], output=tmp_path, quick=True)
    rows = {row.variant: row for row in evidence.parity}
    assert rows["fp32-40x24"].max_abs_diff < 1e-5
    assert rows["uint8-io-40x24"].bytes_off == 0
    assert rows["int8-40x24"].kinds_db.keys() == rows["int8"].kinds_db.keys()
    gates = {(gate.gate, gate.where): gate.state for gate in evidence.gates}
    assert gates["max_abs_diff", "cpu, fp32-40x24"] == "holds"
    assert ("min_photograph_db", "cpu, int8-40x24") in gates


def test_a_delegate_that_asks_for_fixed_shapes_takes_it_as_exported(fixed: Path) -> None:
    (xnnpack,) = check_target(fixed / "model.fp32-40x24.onnx", "xnnpack")["delegates"]
    (free,) = check_target(fixed / "model.onnx", "xnnpack")["delegates"]
    assert xnnpack["as_exported"]["taken"] > free["as_exported"]["taken"] == 0


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (Sight(12, 1, tileable=True), "at least 25 a side"),
        (Sight(8, 16, tileable=True), "in multiples of 16"),
        (Sight(0, 1, tileable=False), "sees the whole picture"),
    ],
)
def test_windows_that_make_up_no_picture_are_refused(seen: Sight, fault: str) -> None:
    with pytest.raises(ExportError, match=fault):
        check_window("40x24", seen)


def test_one_copy_may_be_asked_for_and_brings_along_what_it_is_a_copy_of(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    spec = Edge(channels=4, depth=1)
    zoo.save(zoo.build(spec), path, licence="MIT")
    export = Export(fixed=["uint8-io-40x24", "uint8-io-40x24"])
    recipe = Recipe(name="tiny", model=spec, export=export)
    folder = write_bundle(
        zoo.load(path), recipe, Workspace(tmp_path), role="student", teacher=None, extras=[]
    )
    assert list(read_card(folder).variants) == ["fp32", "uint8-io", "uint8-io-40x24"]
    assert all(row.passed for row in check(folder))


@pytest.mark.parametrize("fault", ["256", "int4-40x24", "int8", "40x24-int8", "int8-99999x9"])
def test_what_is_neither_a_size_nor_a_file_of_one_is_refused(fault: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Export(fixed=[fault])


def test_a_copy_of_each_file_and_one_by_name_are_one_list() -> None:
    assert copies(["fp32", "int8"], ["40x24", "int8-64x64", "int8-40x24"]) == [
        "fp32-40x24",
        "int8-40x24",
        "int8-64x64",
    ]
