"""How long students take that edgesr does not ship, beside the one that it does.

    python benchmarks/designs.py                    the latency table of docs/experiments.md
    python benchmarks/designs.py --int8 32x8 48x8   these alone, in eight bits too

Each is an `EdgeStudent` with one thing changed, so that the comparison is of that thing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import onnxruntime
import torch
from command import in_words
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from turns import medians

from edgesr.deploy.export import to_graph
from edgesr.deploy.int8_tail import repeat_by_concat
from edgesr.deploy.quantiser import Quantiser
from edgesr.models.edge import EdgeStudent, RepConv
from edgesr.models.rewrite import collapse
from edgesr.recipe import Edge, Export


def edge(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    return EdgeStudent(Edge(channels=channels, depth=depth, branches=branches))  # type: ignore[arg-type]


class Residual(EdgeStudent):
    """A skip over every second convolution, which stays an addition in the exported graph."""

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        features = F.relu(self.head(lr))
        before = features
        for i, conv in enumerate(self.body):
            features = conv(features) if i % 2 else F.relu(conv(features))
            if i % 2:
                features = before = F.relu(features + before)
        return self.end(self.tail(features), lr), features


def residual(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    # The skips are the identity here.
    kept = [branch for branch in branches if branch != "identity"]
    student = Residual(Edge(channels=channels, depth=depth, branches=kept))  # type: ignore[arg-type]
    for layer in student.body:
        assert isinstance(layer, RepConv)
        layer.initialise(0.1)
    return student


class Skipping(EdgeStudent):
    """A skip over every fourth convolution, and another activation."""

    act = staticmethod(F.relu)

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        features = before = self.act(self.head(lr))
        for i, conv in enumerate(self.body, start=1):
            features = conv(features)
            if i % 4 == 0:
                features = features + before
            features = self.act(features)
            before = features if i % 4 == 0 else before
        return self.end(self.tail(features), lr), features


def skipping(
    channels: int, depth: int, branches: list[str], act: Callable[[Tensor], Tensor]
) -> EdgeStudent:
    student = Skipping(Edge(channels=channels, depth=depth, branches=branches))  # type: ignore[arg-type]
    student.act = act
    for layer in student.body[3::4]:
        # The skip is the identity here.
        assert isinstance(layer, RepConv)
        layer.initialise(0.1)
    return student


class Attentive(EdgeStudent):
    """Blocks of three convolutions, each with SPAN's attention, which has no parameters: what the
    block adds to, times the sigmoid of what it adds, less one half (arXiv:2311.12770, equation 3).
    All blocks' results enter the last convolution, merged by a 1x1 convolution."""

    def __init__(self, spec: Edge) -> None:
        super().__init__(spec)
        for layer in self.body:
            assert isinstance(layer, RepConv)
            layer.initialise(0.7)
        blocks = spec.depth // 3
        self.merge = nn.Conv2d((blocks + 1) * spec.channels, spec.channels, 1)

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        features = F.relu(self.head(lr))
        found = [features]
        for first, second, third in zip(*[iter(self.body)] * 3, strict=True):
            inner = third(F.relu(second(F.relu(first(features)))))
            features = (features + inner) * (torch.sigmoid(inner) - 0.5)
            found.append(features)
        features = self.merge(torch.cat(found, 1))
        return self.end(self.tail(features), lr), features


def attentive(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    return Attentive(Edge(channels=channels, depth=depth, branches=branches))  # type: ignore[arg-type]


class Anchored(EdgeStudent):
    """Another enlargement of the input in place of the nearest neighbour, or none."""

    anchor: str | None = None

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        features = F.relu(self.head(lr))
        for conv in self.body:
            features = F.relu(conv(features))
        sr = F.pixel_shuffle(self.tail(features), self.scale)
        if self.anchor is not None:
            sr = sr + F.interpolate(lr, scale_factor=self.scale, mode=self.anchor)
        return sr, features


def anchored(channels: int, depth: int, branches: list[str], anchor: str | None) -> EdgeStudent:
    student = Anchored(Edge(channels=channels, depth=depth, branches=branches))  # type: ignore[arg-type]
    student.anchor = anchor
    return student


def wide_end(channels: int, depth: int, width: int, branches: list[str]) -> EdgeStudent:
    """One more convolution before the last, to `width` channels."""
    student = edge(channels, depth, branches)
    student.body.append(RepConv(channels, width, branches))
    ends = [branch for branch in branches if branch != "identity"]
    student.tail = RepConv(width, 48, ends)
    student._initialise()
    return student


class Activated(EdgeStudent):
    """Another activation in place of ReLU."""

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        acts = self.acts
        features = acts[0](self.head(lr))
        for conv, act in zip(self.body, acts[1:], strict=True):
            features = act(conv(features))
        return self.end(self.tail(features), lr), features


def activated(channels: int, depth: int, branches: list[str], kind: str) -> EdgeStudent:
    student = Activated(Edge(channels=channels, depth=depth, branches=branches))  # type: ignore[arg-type]
    kinds: dict[str, Callable[[], nn.Module]] = {
        "leaky": lambda: nn.LeakyReLU(0.1),
        "prelu": lambda: nn.PReLU(channels, init=0.1),
    }
    student.acts = nn.ModuleList(kinds[kind]() for _ in range(depth + 1))
    return student


ALL = ["expand", "point", "identity"]
EXPAND = ["expand"]
DESIGNS: dict[str, Callable[[], EdgeStudent]] = {
    "16x7": partial(edge, 16, 7, ALL),
    "12x14": partial(edge, 12, 14, ALL),
    "24x2": partial(edge, 24, 2, ALL),
    "16x3, widened to 32": partial(wide_end, 16, 3, 32, ALL),
    "16x7, PReLU": partial(activated, 16, 7, ALL, "prelu"),
    "16x7, LeakyReLU": partial(activated, 16, 7, ALL, "leaky"),
    "16x7, a skip over every pair": partial(residual, 16, 7, ALL),
    "16x7, no anchor": partial(anchored, 16, 7, ALL, None),
    "16x7, bilinear anchor": partial(anchored, 16, 7, ALL, "bilinear"),
    "32x9": partial(edge, 32, 9, ALL),
    "24x16": partial(edge, 24, 16, ALL),
    "48x4": partial(edge, 48, 4, ALL),
    "64x2": partial(edge, 64, 2, ALL),
    "32x8": partial(edge, 32, 8, EXPAND),
    "32x6, attention": partial(attentive, 32, 6, EXPAND),
    "32x9, attention": partial(attentive, 32, 9, EXPAND),
    "48x8": partial(edge, 48, 8, EXPAND),
    "32x16": partial(edge, 32, 16, EXPAND),
    "32x16, a skip over every four": partial(skipping, 32, 16, EXPAND, F.relu),
    "32x16, a skip over every four, SiLU": partial(skipping, 32, 16, EXPAND, F.silu),
}


def eight_bits(graph: onnx.ModelProto, lr: NDArray[np.float32]) -> onnx.ModelProto:
    """As `edgesr export --int8` makes it, all convolutions, with the ranges of one picture."""
    return Quantiser(repeat_by_concat(graph), {"noise": [lr]}).quantise("noise", "minmax", [])


def print_latency(names: list[str], *, int8: bool, size: int = 128) -> None:
    """MACs per LR pixel and median times of each design's ONNX files, taking turns, 2 threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    lr = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    calls, macs = {}, {}
    for name in names:
        network = DESIGNS[name]().eval()
        collapse(network)
        macs[name] = sum(p.numel() for p in network.parameters() if p.ndim == 4)
        graph, _ = to_graph(network, Export())
        graphs = {"ms": graph, **({"int8, ms": eight_bits(graph, lr)} if int8 else {})}
        for kind, each in graphs.items():
            session = onnxruntime.InferenceSession(
                each.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            calls[name, kind] = partial(session.run, None, {"lr": lr})
    times = medians(calls, runs=20, warm_up=2)
    kinds = list(graphs)
    print(f"ONNX Runtime {onnxruntime.__version__}, CPU, 2 threads, {size}x{size} LR, 20 in turn")
    print(f"| design | k MACs per LR pixel | {' | '.join(kinds)} |")
    print(f"|---|--:|{'--:|' * len(kinds)}")
    for name in names:
        row = " | ".join(f"{times[name, kind]:.2f}" for kind in kinds)
        print(f"| {name} | {macs[name] / 1e3:.1f} | {row} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("designs", nargs="*", metavar="DESIGN", default=list(DESIGNS))
    parser.add_argument("--int8", action="store_true")
    given = parser.parse_args()
    if unknown := [name for name in given.designs if name not in DESIGNS]:
        parser.error(f"{unknown[0]}: expected one of {', '.join(DESIGNS)}")
    print_latency(given.designs, int8=given.int8)


if __name__ == "__main__":
    in_words(main)
