"""Networks of other projects, by way of spandrel: opened from a file, or built to be trained."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.errors import ModelError, cut
from edgesr.inference.padding import rounded_up
from edgesr.recipe import Spandrel

Call = Callable[[nn.Module, Tensor], Tensor]

SAME = 1e-3
"""Up to which pictures in 0..1 are the same: made together or alone, by a network or its copy."""
SCALES = ("scale", "upscale", "upscaling_factor", "upscale_factor", "up_scale")
"""What constructors call how many times larger the result is."""


@contextmanager
def hushed() -> Iterator[None]:
    """CRAFT builds its windows with a call that torch has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        yield


class Bare(nn.Module):
    """An architecture's network as it is called, (B, 3, H, W) at sizes that it takes."""

    def __init__(self, model: nn.Module, call: Call) -> None:
        super().__init__()
        self.model, self._call = model, call

    def forward(self, lr: Tensor) -> Tensor:
        return self.call(lr).clamp(0, 1)

    def call(self, lr: Tensor) -> Tensor:
        """The same, not held to 0..1: what is held has no gradient."""
        return self._call(self.model, lr.clone())  # RCAN writes into what it is given


class Foreign(nn.Module):
    """A spandrel model behind the same call as ours, any size, any batch; without gradient.

    Attributes:
        model: the architecture's own network.
        takes_batches: whether a GPU runs it on several pictures at once; else one after the other.
        bare: the same, its output held to 0..1 as `forward` holds it, with nothing about sizes:
            what is exported.
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.model: nn.Module = descriptor.model
        self.scale = int(descriptor.scale)
        self._descriptor = descriptor

    @property
    def bare(self) -> Bare:
        return Bare(self.model, self._descriptor._call_fn).eval()

    def forward(self, lr: Tensor) -> Tensor:
        # Side by side on a GPU; on a processor transformers are quicker one after the other.
        batch = lr.device.type != "cpu" and len(lr) > 1 and self.takes_batches
        return self._enlarged(lr, len(lr) if batch else 1)

    def _enlarged(self, lr: Tensor, together: int) -> Tensor:
        with hushed():
            # spandrel pads to the size that the architecture asks for.
            return torch.cat([self._descriptor(part.clone()) for part in torch.split(lr, together)])

    @cached_property
    def takes_batches(self) -> bool:
        """Whether two pictures at once become what each of them does alone."""
        like = next(self.model.parameters())
        noise = torch.rand(2, 3, 24, 16, generator=torch.Generator().manual_seed(0)).to(like)
        with torch.no_grad(), torch.autocast(like.device.type, enabled=False):
            alone = self._enlarged(noise, 1)
            try:
                both = self._enlarged(noise, 2)
            except Exception:  # an architecture fails in as many ways as there are
                return False
        return both.shape == alone.shape and bool((both - alone).abs().max() <= SAME)


class ForeignStudent(nn.Module):
    """A network that spandrel's registry builds, to be trained: any size, any batch, gradients.

    Its features are its picture: what lies inside is not known.

    Attributes:
        model: the architecture's own network.
        min_size, multiple: LR pixels of the shortest side that `model` takes, and of which both
            sides are a multiple; other sizes are mirrored up to them.
    """

    def __init__(self, spec: Spandrel) -> None:
        super().__init__()
        self.spec, self.scale = spec, spec.scale
        self.model, descriptor = _built(spec)
        self.min_size, self.multiple = sizes(descriptor)
        self._call: Call = descriptor._call_fn

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        with hushed():
            sr = self._call(self.model, _padded(lr, self.multiple, self.min_size))
        return sr[..., : self.scale * height, : self.scale * width]

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The picture, and the picture again."""
        sr = self(lr)
        return sr, sr


def opened(path: Path, weights: dict[str, Tensor]) -> Any:
    """spandrel's descriptor of the RGB network whose weights the file at `path` holds.

    Raises:
        ModelError: spandrel knows no such network, or it is not one that takes and gives RGB.
    """
    import spandrel

    try:
        with hushed():
            descriptor = spandrel.ModelLoader().load_from_state_dict(weights)
    except Exception as error:  # an unknown architecture fails in as many ways as there are
        raise ModelError(
            f"model {path}: neither edgesr's nor any architecture that spandrel knows "
            f"({error or type(error).__name__}); its first keys are {_first_keys(weights)}",
            "Give a model that edgesr trained, or one that spandrel opens.",
        ) from None
    check_rgb(descriptor, f"model {path}")
    return descriptor


def check_rgb(descriptor: Any, what: str) -> None:
    """Raise ModelError where the network does not make one RGB picture of one."""
    import spandrel

    channels = (descriptor.input_channels, descriptor.output_channels)
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or channels != (3, 3):
        raise ModelError(
            f"{what}: {descriptor.architecture.name}, x{descriptor.scale}, {channels[0]} -> "
            f"{channels[1]} channels",
            "edgesr needs an RGB model that enlarges 2, 3 or 4 times.",
        )


def sizes(descriptor: Any) -> tuple[int, int]:
    """The shortest side in LR pixels that a network takes, and the multiple of both."""
    needs = descriptor.size_requirements
    return max(needs.minimum, 1), max(needs.multiple_of, 1)


def _first_keys(weights: dict[str, Any]) -> str:
    """By which whoever made a file may know it."""
    return cut(", ".join(map(str, list(weights)[:5]))) or "none"


def _padded(lr: Tensor, multiple: int, least: int) -> Tensor:
    """As `inference.padding.padded`, with gradient."""
    height, width = lr.shape[-2:]
    right, below = (rounded_up(side, multiple, least) - side for side in (width, height))
    if right or below:
        mirrored = min(right, width - 1), min(below, height - 1)
        lr = F.pad(lr, (0, mirrored[0], 0, mirrored[1]), "reflect")
        lr = F.pad(lr, (0, right - mirrored[0], 0, below - mirrored[1]), "replicate")
    return lr.clone()  # RCAN writes into what it is given


def _built(spec: Spandrel) -> tuple[nn.Module, Any]:
    """The network of `spec` with fresh weights, and spandrel's descriptor of a copy.

    Raises:
        ModelError: there is no such architecture, it has no such parameters, it is of another
            scale, or spandrel would take its file for another network.
    """
    architecture, made = _constructor(spec.name)
    arguments = _arguments(made, spec)
    what = f'model.name = "{spec.name}" with {arguments}'
    try:
        with hushed(), torch.no_grad():
            network: nn.Module = made(**arguments).eval()
            descriptor = architecture.load(dict(network.state_dict()))
            lr = _noise(descriptor)
            ours, theirs = (
                descriptor._call_fn(each, lr.clone()) for each in (network, descriptor.model.eval())
            )
    except Exception as error:  # an architecture fails in as many ways as there are
        reason = cut((str(error).strip() or type(error).__name__).splitlines()[0])
        raise ModelError(
            f"{what} cannot be built and run: {reason}",
            f"What it takes: {inspect.signature(made)}",
        ) from None
    check_rgb(descriptor, what)
    if descriptor.scale != spec.scale:
        raise ModelError(
            f"{what} enlarges {descriptor.scale} times, model.scale = {spec.scale}",
            "Set model.scale to what the network does, or change model.parameters.",
        )
    if ours.shape != theirs.shape or not (ours - theirs).abs().max() <= SAME * ours.abs().max():
        found = getattr(descriptor.model, "hyperparameters", {})
        other = [key for key in spec.parameters if found.get(key) != spec.parameters[key]]
        raise ModelError(
            f"{what}: its file would open as another network, as weights do not show "
            f"{', '.join(other) or 'its parameters'}",
            "Leave them at their defaults.",
        )
    return network.train(), descriptor


def _noise(descriptor: Any) -> Tensor:
    least, multiple = sizes(descriptor)
    sides = (rounded_up(side, multiple, least) for side in (24, 16))
    return torch.rand(1, 3, *sides, generator=torch.Generator().manual_seed(0))


def _constructor(name: str) -> tuple[Any, type[nn.Module]]:
    """spandrel's architecture of that name, and the class of its networks; an architecture of
    several classes is named by one of them."""
    from spandrel import MAIN_REGISTRY

    known = {}
    for support in MAIN_REGISTRY.architectures():
        architecture = support.architecture
        for base in getattr(type(architecture), "__orig_bases__", ()):
            for network in get_args(base):
                for made in get_args(network) or (network,):
                    known[made.__name__] = architecture, made
                if not get_args(network):
                    known[str(architecture.id)] = architecture, network
    if name not in known:
        lower = {each.lower(): each for each in known}
        near = difflib.get_close_matches(name.lower(), lower, n=1)
        hint = f"Did you mean {lower[near[0]]}? " if near else ""
        raise ModelError(
            f'model.name = "{name}" is not a network of spandrel\'s registry',
            f"{hint}It has {', '.join(sorted(known, key=str.lower))}.",
        )
    return known[name]


def _arguments(made: type[nn.Module], spec: Spandrel) -> dict[str, Any]:
    """What the class is called with: the recipe's parameters, and its scale where it takes one."""
    takes = inspect.signature(made).parameters
    if strange := [key for key in spec.parameters if key not in takes]:
        near = difflib.get_close_matches(strange[0], takes, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise ModelError(
            f'model.parameters.{strange[0]}: "{spec.name}" takes no such parameter',
            f"{hint}It takes {', '.join(takes)}.",
        )
    given = {key: spec.scale for key in SCALES if key in takes} | spec.parameters
    empty = inspect.Parameter.empty
    missing = [key for key, each in takes.items() if each.default is empty and key not in given]
    if missing:
        raise ModelError(
            f'model.name = "{spec.name}" needs {", ".join(missing)}',
            "Give them in [model.parameters]; channels of a picture are 3.",
        )
    return given
