"""What the name of a variant says, and that no other name passes."""

from __future__ import annotations

import pytest

from edgesr.variant import Variant, file_of, name_of, parse

NAMES = {
    "fp32": Variant("fp32"),
    "fp16": Variant("fp16"),
    "int8": Variant("int8"),
    "uint8-io": Variant("fp32", bytes_io=True),
    "int8-uint8-io": Variant("int8", bytes_io=True),
    "s8s8": Variant("s8s8"),
    "s8s8-symmetric": Variant("s8s8-symmetric"),
    "s8s8-symmetric-64x48": Variant("s8s8-symmetric", window="64x48"),
    "a16w8-64x48": Variant("a16w8", window="64x48"),
    "fp32-256x256": Variant("fp32", window="256x256"),
    "uint8-io-64x48": Variant("fp32", bytes_io=True, window="64x48"),
    "int8-uint8-io-64x48": Variant("int8", bytes_io=True, window="64x48"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_and_written_alike(name: str) -> None:
    assert parse(name) == NAMES[name]
    assert str(NAMES[name]) == name
    assert name_of(file_of(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "int9",
        "",
        "INT8",
        "io",
        "int8-io",
        "symmetric",
        "fp32-256",
        "fp32-0x256",
        "fp32-1x1\n",
        "a/fp32",
    ],
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected fp32, fp16, int8"):
        parse(name)
    assert name_of(f"model.{name}.onnx") is None


def test_what_computes_with_integers_answers_for_itself_and_floats_for_the_network() -> None:
    answers = {name: str(parse(name).answer()) for name in NAMES}
    assert answers["int8-uint8-io-64x48"] == "int8-64x48"
    assert answers["uint8-io-64x48"] == "fp32-64x48"
    assert answers["fp16"] == "fp32"
