"""What a delegate documents of itself, and what follows for a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from edgesr.targets.graph import DEQUANTISE, QUANTISE, Node


@dataclass(frozen=True)
class Source:
    """Where a rule is documented.

    Attributes:
        version: of the software that the page or file is about, or its commit.
    """

    title: str
    url: str
    version: str


@dataclass(frozen=True)
class Fault:
    """Why a node is left to the CPU, and what to do about it."""

    why: str
    remedy: str


Rule = Callable[[Node], Fault | None]


@dataclass(frozen=True)
class Delegate:
    """An execution provider of ONNX Runtime in one mode of operation.

    Attributes:
        operators: those that its documentation lists; None for all of ONNX.
        types: of the first input and the first output, per operator, with "" for all others;
            where an operator has none, its element types are not documented and not checked.
        rules: what else a node must keep, by operator, with "" for all.
        units: whether a QuantizeLinear or DequantizeLinear goes where the operation goes that it
            belongs to, instead of being an operation by itself.
        fixed: whether shapes must be fixed.
        opsets: lowest and highest version of ONNX's operators, where documented.
        notes: what else to know, in words.
    """

    name: str
    sources: tuple[Source, ...]
    operators: frozenset[str] | None
    types: dict[str, frozenset[str]] = field(default_factory=dict)
    rules: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    units: bool = False
    fixed: bool = False
    opsets: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


FIX_SHAPES = "Fix the shapes to those of one tile; docs/targets.md says how."
USE_DCR = 'Set export.depth_to_space = "DCR" in the recipe and export again.'
USE_LEAKY_RELU = (
    'Train with model.prelu = "layer" and keep export.rewrites.leaky_relu = true: then each '
    "PRelu is a LeakyRelu."
)
USE_FLOAT = "Ship the fp32 or fp16 variant to this target."
USE_EDGESR = "Write the Resize as edgesr does: mode nearest, asymmetric, floor, constant scales."


def operators(names: str) -> frozenset[str]:
    """A list of operators from words."""
    return frozenset(names.split())


def judge(delegate: Delegate, graph: list[Node], opset: int) -> list[Fault | None]:
    """Per node, why the delegate leaves it to the CPU; None where it takes it."""
    verdicts = [_fault(delegate, node, opset) for node in graph]
    if not delegate.units:
        return verdicts
    return [verdicts[node.core] for node in graph]


def _fault(delegate: Delegate, node: Node, opset: int) -> Fault | None:
    return next(_faults(delegate, node, opset), None)


def _faults(delegate: Delegate, node: Node, opset: int) -> Iterator[Fault]:
    if delegate.operators is not None and node.op not in delegate.operators:
        yield _not_listed(delegate, node)
    if delegate.opsets and not delegate.opsets[0] <= opset <= delegate.opsets[1]:
        low, high = delegate.opsets
        yield Fault(
            f"opset {opset}, documented are {low} to {high}", f"Set export.opset = {high} or lower."
        )
    if delegate.fixed and not all(value.fixed for value in node.inputs if value.type):
        yield Fault("shapes that are not fixed are refused", FIX_SHAPES)
    yield from _types(delegate, node)
    for rule in (*delegate.rules.get("", ()), *delegate.rules.get(node.op, ())):
        if fault := rule(node):
            yield fault


def _not_listed(delegate: Delegate, node: Node) -> Fault:
    remedy = "Nothing to set in edgesr: the CPU runs it."
    if node.op == "PRelu" and "LeakyRelu" in (delegate.operators or ()):
        remedy = USE_LEAKY_RELU
    elif node.op in (QUANTISE, DEQUANTISE):
        remedy = USE_FLOAT
    return Fault("not among the documented operators", remedy)


def _types(delegate: Delegate, node: Node) -> Iterator[Fault]:
    allowed = delegate.types.get(node.op, delegate.types.get("", frozenset()))
    found = [value.type for value in (*node.inputs[:1], *node.outputs[:1])]
    for kind in found if allowed else []:
        if kind and kind not in allowed:
            listed = ", ".join(sorted(allowed))
            remedy = USE_FLOAT if "int" in kind else "Ship the fp32 variant to this target."
            yield Fault(f"elements of type {kind}, documented are {listed}", remedy)


def partitions(graph: list[Node], taken: list[bool]) -> int:
    """In how many pieces the delegate gets the graph: an estimate, as each delegate groups nodes
    in its own way.

    A node's group counts the changes of hands on the longest way to it, so a group depends on
    earlier groups only, and as many nodes as possible share one.

    Args:
        graph: in an order in which no node precedes one that it takes from, as ONNX demands.
    """
    groups: list[int] = []
    for i, node in enumerate(graph):
        own = 0 if taken[i] else -1  # what the CPU does first costs the delegate no group
        before = [groups[j] + (taken[j] != taken[i]) for j in node.before]
        groups.append(max(before, default=own))
    return len({group for group, mine in zip(groups, taken, strict=True) if mine})


def mode_is(attribute: str, allowed: set[Any], remedy: str) -> Rule:
    """The rule that `attribute` of a node is one of `allowed`."""

    def rule(node: Node) -> Fault | None:
        found = node.attributes.get(attribute)
        if found in allowed:
            return None
        listed = " or ".join(str(value) for value in sorted(allowed))
        return Fault(f"{attribute} = {found}, documented is {listed}", remedy)

    return rule


def constant(*places: int, quantised: bool = False) -> Rule:
    """The rule that the inputs at `places` are in the file.

    Args:
        quantised: they may also be made by a DequantizeLinear of what is in the file.
    """

    def rule(node: Node) -> Fault | None:
        for i in places:
            value = node.inputs[i] if i < len(node.inputs) else None
            if quantised and value is not None and value.integers is not None:
                value = value.integers
            if value is not None and value.type and value.constant is None:
                return Fault(f"input {i} is computed, documented is a constant", USE_FLOAT)
        return None

    return rule
