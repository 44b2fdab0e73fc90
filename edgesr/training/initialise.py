"""Where a student starts: at random, from its teacher's layers, or from another run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgesr.data.patches import PatchCache
from edgesr.errors import ModelError
from edgesr.inference.luma import BLUE, GREEN, RED
from edgesr.models.edge import EdgeStudent, luma
from edgesr.models.srgan import Generator
from edgesr.models.zoo import SRModel, Student, Trainable, build, describe, load
from edgesr.recipe import Edge, Spandrel, Srgan
from edgesr.training.depth import become, change_depth, layers_of
from edgesr.training.prune import Pair, prune
from edgesr.training.scale import change_scale
from edgesr.workspace import Workspace

SIDE = 384
"""Of what is looked at of each, in LR pixels."""
PHOTOGRAPHS = 30
"""About as many of the training photographs judge which convolutions are merged."""


@dataclass(frozen=True)
class Start:
    """Where a student starts.

    Attributes:
        way: at random; from blocks of the teacher; from a model of the same table; grown from a
            generator of fewer blocks; from an edge student of another depth, or of another scale;
            of luma, from one of RGB; pruned, of which the source has more channels.
        source: that model.
    """

    way: Literal["random", "blocks", "same", "grown", "depth", "scale", "luma", "pruned"]
    source: SRModel | None = None


def find_start(
    spec: Srgan | Edge | Spandrel, init: str, teacher: SRModel | None, workspace: Workspace
) -> Start:
    """What the recipe's `training.init` asks for, found and known to fit a network of `spec`.

    Raises:
        ModelError: the teacher or the named file has other layers.
    """
    if init == "random":
        return Start("random")
    if init == "teacher":
        assert teacher is not None, "the recipe was checked for it"
        _check_blocks(spec, teacher)
        return Start("blocks", teacher)
    source = load(workspace.find_weights(init))
    theirs = source.spec
    if isinstance(spec, Spandrel):
        return Start("same" if _check_layers(spec, source) else "pruned", source)
    if theirs == spec:
        return Start("same", source)
    if isinstance(spec, Srgan) and isinstance(theirs, Srgan) and _grows(theirs, spec):
        return Start("grown", source)
    if isinstance(theirs, Srgan | Edge) and _is_wider(theirs, spec):
        return Start("pruned", source)
    if isinstance(spec, Edge) and isinstance(theirs, Edge) and theirs.channels == spec.channels:
        if theirs.colours != spec.colours:
            if _is_coloured(theirs, spec):
                return Start("luma", source)
        elif theirs.scale == spec.scale:
            return Start("depth", source)
        elif theirs.depth == spec.depth:
            return Start("scale", source)
    raise ModelError(
        f'training.init = "{init}": that is {theirs}, the recipe asks for {spec}',
        "Give a model of the same table or of one with more channels, an SRGAN generator that "
        "differs in having fewer blocks, an edge student of the same width and scale, or of the "
        "same width and depth and another scale, one of RGB for one of luma, or start at random.",
    )


def _check_layers(spec: Spandrel, source: SRModel) -> bool:
    """Whether `source` has the weights of a network of `spec`, not those of a wider one.

    Raises:
        ModelError: it has neither.
    """
    ours = {key: value.shape for key, value in build(spec).state_dict().items()}
    theirs = {key: value.shape for key, value in source.module.state_dict().items()}
    if source.scale == spec.scale and ours == theirs:
        return True
    if source.scale == spec.scale and ours.keys() == theirs.keys():
        sizes = [(ours[key], theirs[key]) for key in ours]
        if all(len(a) == len(b) and all(map(int.__le__, a, b)) for a, b in sizes):
            return False
    network = getattr(source.module, "model", None)
    stated = getattr(network, "hyperparameters", None)
    differ = [key for key in ours | theirs if ours.get(key) != theirs.get(key)]
    raise ModelError(
        f"training.init = {source.path}: that is {source.architecture}, x{source.scale}, whose "
        f"{differ[0] if differ else 'scale'} is not that of {describe(spec)}",
        f"Its parameters: {stated}." if stated else "Give a file of the same architecture.",
    )


def initialise(
    student: Trainable, start: Start, cache: PatchCache, held_out: Sequence[Pair] = ()
) -> None:
    """Fill `student`, of the table that `start` was found for.

    Args:
        cache: the photographs by which a deeper edge student is made shallower, or the tail of one
            of another scale is fitted.
        held_out: those that rank the channels of a wider network.

    Raises:
        ModelError: the channels of a wider network cannot be removed.
    """
    if start.source is None:
        return
    source = start.source.module
    if start.way == "blocks":
        assert isinstance(student, Generator), "the start was found for it"
        from_teacher(student, start.source)
    elif start.way == "same":
        student.load_state_dict(source.state_dict())
    elif start.way == "pruned":
        prune(student, start.source, held_out)
    elif isinstance(student, Generator) and isinstance(source, Generator):
        grow(student, source)
    elif start.way == "luma":
        assert isinstance(student, EdgeStudent), "the start was found for it"
        assert isinstance(source, EdgeStudent), "the start was found for it"
        to_luma(student, source)
    elif isinstance(student, EdgeStudent) and isinstance(source, EdgeStudent):
        every = max(1, round(len(cache.files) / PHOTOGRAPHS))
        pairs = [_corner(lr, hr, cache.scale) for lr, hr in cache.photographs(every)]
        if student.colours == 1:
            pairs = [(luma(lr), luma(hr)) for lr, hr in pairs]
        if start.way == "scale":
            change_scale(student, source, pairs)
        else:
            change_depth(student, source, [lr for lr, _ in pairs])


def _corner(lr: Tensor, hr: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """At most `SIDE` LR pixels a side, and their HR."""
    side = min(SIDE, *lr.shape[-2:])
    return lr[..., :side, :side], hr[..., : scale * side, : scale * side]


def _is_wider(theirs: Srgan | Edge, spec: Srgan | Edge) -> bool:
    """Whether the two differ in their channels alone, and an edge student's branches, the first
    having more."""
    update: dict[str, Any] = {"channels": spec.channels}
    if isinstance(spec, Edge):
        update["branches"] = spec.branches
    return theirs.model_copy(update=update) == spec and theirs.channels > spec.channels


def _is_coloured(theirs: Edge, spec: Edge) -> bool:
    """Whether the two differ in their colours, and branches, alone, the first having RGB."""
    same = {"colours": spec.colours, "branches": spec.branches}
    return theirs.colours == 3 and theirs.model_copy(update=same) == spec


@torch.no_grad()
def to_luma(student: EdgeStudent, source: EdgeStudent) -> None:
    """Make `student` what `source`, of RGB, makes of Y as grey: the luma of its picture."""
    *layers, tail = layers_of(student)
    head, *body, end = (layer.collapse() for layer in layers_of(source))
    head.weight = nn.Parameter(head.weight.sum(1, keepdim=True))
    assert end.bias is not None
    shares = torch.tensor([RED, GREEN, BLUE])
    end.weight, end.bias = (
        nn.Parameter(torch.tensordot(shares, values.view(3, -1, *values.shape[1:]), 1))
        for values in (end.weight, end.bias)
    )
    for layer, conv in zip([*layers, tail], [head, *body, end], strict=True):
        become(layer, conv)


def _grows(smaller: Srgan, larger: Srgan) -> bool:
    """Whether the two differ in the number of blocks alone, the first having fewer."""
    same = smaller.model_copy(update={"blocks": larger.blocks}) == larger
    return same and smaller.blocks < larger.blocks


def _check_blocks(spec: Srgan | Edge | Spandrel, teacher: SRModel) -> None:
    """Raise ModelError where a student of `spec` cannot take the teacher's blocks."""
    if teacher.scale != spec.scale:
        raise ModelError(
            f"the teacher enlarges {teacher.scale} times, the student {spec.scale} times"
            ': training.init = "teacher" needs the same scale',
            'Use training.init = "random".',
        )
    if not isinstance(teacher.spec, Srgan) or not isinstance(spec, Srgan):
        kind = describe(spec) if isinstance(teacher.spec, Srgan) else teacher.architecture
        raise ModelError(
            f'training.init = "teacher" copies blocks between SRGAN generators, not {kind}',
            'Use training.init = "random".',
        )
    if teacher.spec.channels != spec.channels:
        raise ModelError(
            f"the teacher has {teacher.spec.channels} channels, the student {spec.channels}"
            ': training.init = "teacher" needs the same width',
            'Use training.init = "random".',
        )


@torch.no_grad()
def grow(student: Generator, source: Generator) -> None:
    """Make `student` the function of `source`, which has fewer blocks.

    The blocks of `source` are spread evenly. Those between them start as the identity: the scale
    of their last batch normalisation is zero, as in Goyal et al., arXiv:1706.02677, section 5.1.
    """
    for part in ("head", "fusion", "upsample", "tail"):
        student.get_submodule(part).load_state_dict(source.get_submodule(part).state_dict())
    taken = {
        i * student.spec.blocks // source.spec.blocks: block for i, block in enumerate(source.body)
    }
    for place, block in enumerate(student.body):
        if place in taken:
            block.load_state_dict(taken[place].state_dict())
        else:
            nn.init.zeros_(block.get_parameter("bn2.weight"))


@torch.no_grad()
def from_teacher(student: Student, teacher: SRModel) -> None:
    """Copy the teacher's head, tail, up-sampling and evenly spaced residual blocks.

    A student with 4 blocks takes blocks 0, 4, 8 and 12 of 16. Where the teacher has a slope per
    channel and the student one per layer, that one is the mean. Where the teacher ends in
    (tanh(x) + 1) / 2 and the student does not, the tail is its first-order expansion (x + 1) / 2.

    Raises:
        ModelError: one of the two is no SRGAN generator, or their widths differ.
    """
    _check_blocks(student.spec, teacher)
    source = teacher.module
    assert isinstance(source, Generator)
    assert isinstance(student, Generator)
    copy_layers(source.head, student.head)
    for i, block in enumerate(student.body):
        copy_layers(source.body[i * source.spec.blocks // student.spec.blocks], block)
    copy_layers(source.fusion, student.fusion)
    copy_layers(source.upsample, student.upsample)
    copy_layers(source.tail, student.tail)
    if source.spec.output == "tanh" and student.spec.output == "linear":
        conv = student.tail.conv
        assert conv.bias is not None
        conv.weight.mul_(0.5)
        conv.bias.mul_(0.5).add_(0.5)


def copy_layers(source: nn.Module, target: nn.Module) -> None:
    """Copy weights between modules of the same layers, up to slopes and the BN's epsilon."""
    theirs = source.state_dict()
    ours: dict[str, Tensor] = {
        key: theirs[key].mean().expand(value.shape)
        if key.endswith("act.weight") and value.shape != theirs[key].shape
        else theirs[key].expand(value.shape)
        for key, value in target.state_dict().items()
    }
    target.load_state_dict(ours)
    for bn, source_bn in zip(_bns(target), _bns(source), strict=True):
        assert bn.running_var is not None
        bn.running_var.add_(source_bn.eps - bn.eps)  # the same sum under the root


def _bns(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
