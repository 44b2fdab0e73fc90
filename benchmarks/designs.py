"""How long students take that edgesr does not ship, beside the one that it does.

    python benchmarks/designs.py            the latency table of docs/experiments.md

Each is an `EdgeStudent` with one thing changed, so that the comparison is of that thing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import onnxruntime
from command import in_words
from torch import Tensor, nn
from torch.nn import functional as F
from turns import medians

from edgesr.deploy.export import to_graph
from edgesr.models.edge import EdgeStudent, RepConv
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
DESIGNS: dict[str, Callable[[], nn.Module]] = {
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
}


def print_latency(builders: dict[str, Callable[[], nn.Module]], size: int = 128) -> None:
    """MACs per LR pixel and the median time of each design's ONNX file, taking turns, 2 threads."""
    sessions, macs = {}, {}
    for name, build in builders.items():
        network = build().eval()
        for path, layer in list(network.named_modules()):
            if isinstance(layer, RepConv):
                network.set_submodule(path, layer.collapse())
        macs[name] = sum(p.numel() for p in network.parameters() if p.ndim == 4)
        graph, _ = to_graph(network, Export())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        sessions[name] = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    lr = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    calls = {name: partial(session.run, None, {"lr": lr}) for name, session in sessions.items()}
    print(f"ONNX Runtime {onnxruntime.__version__}, CPU, 2 threads, {size}x{size} LR, 20 in turn")
    print("| design | k MACs per LR pixel | ms |\n|---|--:|--:|")
    for name, ms in medians(calls, runs=20, warm_up=2).items():
        print(f"| {name} | {macs[name] / 1e3:.1f} | {ms:.2f} |")


if __name__ == "__main__":
    in_words(lambda: print_latency(DESIGNS))
