"""A bundle's README.md: how an app calls the model, for whoever gets only the folder."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgesr import shipped
from edgesr.bundle.records.card import Card, Other, Variant
from edgesr.console import printable
from edgesr.variant import parse

MARKUP = re.compile(r"([\\`*_\[\]<>|~&$])")
"""What Markdown, or HTML inside it, gives a meaning within a line."""

ADVICE = {
    "fp32": "unless there is a reason for another: the network as it was trained, in float32",
    "fp16": "for GPUs and NPUs that compute in half precision",
    "int8": "where 8-bit arithmetic is fast (many CPUs and NPUs) and a small loss is allowed",
    "uint8-io": "to pass a bitmap's bytes: conversion, clipping and rounding are inside",
    "int8-uint8-io": "the same for a camera or a bitmap: bytes in and out, no float at an end",
    "s8s8": "where activations have to be signed as the weights are (XNNPACK): int8's very values",
    "a16w8": "for NPUs with activations of 16 bits (Qualcomm's HTP): nearly nothing is lost",
    "s8s8-symmetric": "for TensorRT, which takes zero points of 0 alone: signed, one bit less",
    "window": "for delegates that refuse shapes that are not fixed: the same for {} alone",
}


LABELS = {
    "litert": "LiteRT (TensorFlow Lite)",
    "executorch": "ExecuTorch (XNNPACK)",
    "onnxruntime": "ONNX Runtime's smallest builds",
    "coreml": "Core ML (iOS 16, macOS 13 and later)",
}
"""Of the runtimes that open no ONNX."""


def readme(card: Card, *, invents: bool, kind: str = "bicubic", photographs: str = "") -> str:
    """The page of the bundle that `card` describes, variants that it lacks left out.

    Args:
        invents: a GAN stage trained the network, so it shows detail that is only plausible.
        kind: of the degradation that it was trained on, as a recipe names it.
        photographs: the folder or the set that it was trained on, as the recipe names it.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    template = environment.get_template("readme.md.j2")
    return template.render(
        card=card,
        variants=card.variants,
        fixed={name: each for name, each in card.variants.items() if each.window},
        advice=_advice,
        size=_size,
        labels=LABELS,
        invents=invents,
        kind=kind,
        photographs=photographs,
        text=shipped.licence(card.licence) is not None,
    )


def _advice(name: str) -> str:
    """For what to take the file of that name."""
    if window := parse(name).window:
        return ADVICE["window"].format(window.replace("x", " × "))
    return ADVICE[name]


def _size(variant: Variant | Other) -> str:
    return f"{variant.bytes / 1e6:.2f} MB"


def plain(text: str) -> str:
    """`text` that others wrote, as Markdown within a line that shows it as it stands."""
    return MARKUP.sub(r"\\\1", printable(" ".join(text.split())))
