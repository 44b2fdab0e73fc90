"""Students that edgesr does not ship, beside the one that it does, for experiments.py.

Each is an `EdgeStudent` with one thing changed, so that the comparison is of that thing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import medians

from edgesr.deploy.export import to_graph
from edgesr.models.edge import EdgeStudent, RepConv
from edgesr.models.srgan import Generator
from edgesr.recipe import Edge, Export, Srgan

# Sobel in both directions and the Laplacian, as ECBSR has them (10.1145/3474085.3475291).
MASKS = torch.tensor(
    [
        [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
        [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
        [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    ],
    dtype=torch.float32,
)


def edge(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    return EdgeStudent(Edge(channels=channels, depth=depth, branches=branches))  # type: ignore[arg-type]


def generator() -> Generator:
    return Generator(Srgan(blocks=4))


class GradientConv(RepConv):
    """With three more branches: a 1x1 convolution, then a fixed mask for each output, scaled."""

    def __init__(self, n_in: int, n_out: int, branches: list[str]) -> None:
        super().__init__(n_in, n_out, branches)
        self.mixing = nn.ModuleList(nn.Conv2d(n_in, n_out, 1, bias=False) for _ in MASKS)
        self.scales = nn.Parameter(0.001 * torch.randn(len(MASKS), n_out))

    def collapsed(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        weight, bias = super().collapsed(dtype)
        for mask, mixing, scale in zip(MASKS, self.mixing, self.scales, strict=True):
            assert isinstance(mixing, nn.Conv2d)
            weight = weight + (mixing.weight * scale[:, None, None, None] * mask).to(dtype)
        return weight, bias


def gradients(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    student = edge(channels, depth, branches)
    for name, layer in list(student.body.named_children()):
        student.body.set_submodule(name, GradientConv(channels, channels, branches), strict=True)
        assert isinstance(layer, RepConv)
    student._initialise()
    return student


def head_as_drawn(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    """The head's filters as He's initialisation leaves them: they answer to brightness."""
    student = edge(channels, depth, branches)
    student.head.initialise(1.0)
    return student


def head_branches(channels: int, depth: int, branches: list[str]) -> EdgeStudent:
    """Branches beside the first convolution too; together its filters sum to zero."""
    student = edge(channels, depth, branches)
    student.head = head = RepConv(3, channels, branches)
    head.initialise(1.0)
    total = head.collapsed(head.conv.weight.dtype)[0].detach()
    head.conv.weight.data.sub_(total.mean((1, 2, 3), keepdim=True))
    return student


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
