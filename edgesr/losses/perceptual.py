"""Losses that compare features of a frozen network: VGG (eq. 4) and LPIPS (eq. 8).

Both look at ImageNet-normalised pictures. LPIPS's own scaling of 2x - 1, shift (-.030, -.088,
-.188) and scale (.458, .448, .450), is ImageNet's mean (.485, .456, .406) and deviation
(.229, .224, .225) of x in other words, so a VGG16 that serves both runs once per picture.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import EllipsisType
from typing import Any, Literal, NamedTuple

import lpips
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr import console, weights
from edgesr.recipe import Losses

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
LPIPS_NAME = {"vgg16": "vgg", "alexnet": "alex"}
Backbone = Literal["vgg16", "alexnet"]
BACKBONES: dict[str, tuple[Backbone, ...]] = {
    "vgg16": ("vgg16",),
    "alexnet": ("alexnet",),
    "both": ("vgg16", "alexnet"),
}
STRIDE, SMALLEST = 4, 32
"""Of AlexNet: pixels from one position of its first layer to the next, and the smallest side."""
# Index of the last convolution in torchvision's features: conv5_4 and conv5_3.
LAST_CONV: dict[weights.Network, int] = {"vgg19": 34, "vgg16": 28}


class VggFeatures(nn.Module):
    """VGG up to its last convolution, before the activation: conv5_4 of VGG19, conv5_3 of VGG16.

    Takes (B, 3, H, W), RGB 0..1, sides from 16 on; returns (B, 512, H // 16, W // 16). Frozen;
    its weights come from `build_vgg_features`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Literal["vgg19", "vgg16"]) -> None:
        super().__init__()
        self.features = weights.skeleton(network)[: LAST_CONV[network] + 1]
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.features((images - self.mean) / self.deviation)
        return features


def build_vgg_features(network: Literal["vgg19", "vgg16"], folder: str = "") -> VggFeatures:
    """VGG with ImageNet weights, frozen.

    Raises:
        WeightsError: the weights are missing or damaged.
    """
    vgg = VggFeatures(network)
    vgg.load_state_dict(weights.load(network, folder), strict=True, assign=True)
    return vgg.eval().requires_grad_(False)


def build_lpips(network: Backbone, folder: str = "") -> lpips.LPIPS:
    """LPIPS v0.1 of the lpips package: its heads, our backbone, frozen.

    It takes two (B, 3, H, W) in -1..1 (0..1 with `normalize=True`) and returns (B, 1, 1, 1).
    It has no dropout, so training mode changes nothing.

    Raises:
        WeightsError: the backbone's weights are missing or damaged.
    """
    backbone, name = weights.load(network, folder), LPIPS_NAME[network]
    with torch.device("meta"), warnings.catch_warnings():
        # lpips builds its backbone with arguments that torchvision has deprecated.
        warnings.filterwarnings("ignore", "The parameter 'pretrained'", UserWarning)
        warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
        module = lpips.LPIPS(
            pretrained=False, pnet_rand=True, net=name, use_dropout=False, verbose=False
        )
    module.scaling_layer = lpips.ScalingLayer()
    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{name}.pth"
    heads = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(_lpips_state(module, backbone, heads), strict=True, assign=True)
    return module.eval().requires_grad_(False)


def has_lpips(folder: str = "") -> bool:
    """Whether AlexNet's weights are found."""
    return weights.find("alexnet", folder) is not None


def find_lpips(folder: str = "") -> nn.Module | None:
    """LPIPS with AlexNet; without its weights None, with a warning.

    Raises:
        WeightsError: the weights are there but damaged.
    """
    if not has_lpips(folder):
        console.warn("LPIPS is left out: no weights of AlexNet (edgesr weights --fetch)")
        return None
    module: nn.Module = build_lpips("alexnet", folder)
    return module


def distance(lpips: nn.Module | None, sr: Tensor, hr: Tensor) -> float | None:
    """LPIPS of two pictures, (1, 3, H, W), RGB 0..1; None without a network."""
    if lpips is None:
        return None
    with torch.inference_mode():
        return float(lpips(sr, hr, normalize=True))


def _lpips_state(
    module: nn.Module, backbone: dict[str, Tensor], heads: dict[str, Tensor]
) -> dict[str, Tensor]:
    """What fills `module`: net.sliceK.N is features.N; a head is at .1 behind its dropout."""
    state = {}
    for key, value in module.state_dict().items():
        if key.startswith("net."):
            state[key] = backbone["features." + key.split(".", 2)[2]]
        elif key.startswith("lin"):
            # "lins.0.model.0.weight" is another name for "lin0.model.0.weight".
            state[key] = heads[key.replace("lins.", "lin").replace("model.0", "model.1")]
        else:
            state[key] = value
    return state


class Features(NamedTuple):
    """What the networks see in (B, 3, H, W) pictures.

    Attributes:
        layers: the five feature maps of each backbone that LPIPS compares; none where it is not
            asked.
        vgg: the map of eq. 4; None where it is not asked.
    """

    layers: list[Tensor]
    vgg: Tensor | None


class Perceptual(nn.Module):
    """The perceptual terms of `losses` that have a non-zero weight.

    Raises:
        WeightsError: the weights of a network that is needed are missing or damaged.
    """

    def __init__(self, losses: Losses, folder: str = "") -> None:
        super().__init__()
        self.against = losses.lpips_against
        backbones = BACKBONES[losses.lpips_network] if losses.lpips else ()
        self.lpips = nn.ModuleDict({name: build_lpips(name, folder) for name in backbones})
        self.shared = bool(losses.vgg) and losses.vgg_network == "vgg16" in backbones
        own = bool(losses.vgg) and not self.shared
        self.vgg = build_vgg_features(losses.vgg_network, folder) if own else None

    def terms(self, sr: Tensor, hr: Tensor, teacher_sr: Tensor | None = None) -> dict[str, Tensor]:
        """The unweighted terms "vgg" and "lpips", each a scalar, where they are asked for.

        Args:
            sr, hr, teacher_sr: (B, 3, H, W), RGB 0..1, sides from 16 on (AlexNet: 32). No
                gradient flows to `hr` and `teacher_sr`; the latter may be None where LPIPS does
                not compare with it.
        """
        cut = self._cut(sr.shape[-1])
        seen = self.features(sr[cut])
        with torch.no_grad():
            seen_hr = self.features(hr[cut], for_lpips=self.against != "teacher")
            targets = [] if self.against == "teacher" else [seen_hr]
            if self.lpips and self.against != "hr":
                assert teacher_sr is not None, "the recipe's check asks for a teacher"
                targets.append(self.features(teacher_sr[cut], for_vgg=False))
        terms = {}
        if seen.vgg is not None and seen_hr.vgg is not None:
            terms["vgg"] = F.mse_loss(seen.vgg, seen_hr.vgg)  # eq. 4
        if self.lpips:
            distances = [self.distance(seen.layers, target.layers) for target in targets]
            terms["lpips"] = torch.stack(distances).mean()  # eq. 8
        return terms

    def _cut(self, side: int) -> tuple[slice | EllipsisType, ...]:
        """The picture less up to `STRIDE` - 1 rows and columns at its beginning where AlexNet
        judges: it looks at every fourth pixel, and where these always are the same ones of each LR
        pixel, what it does not see of them becomes a grid."""
        if "alexnet" not in self.lpips:
            return (...,)
        first = [min(int(n), max(0, side - SMALLEST)) for n in torch.randint(STRIDE, (2,))]
        return (..., *(slice(n, None) for n in first))

    def features(self, images: Tensor, *, for_vgg: bool = True, for_lpips: bool = True) -> Features:
        """What the networks see in `images`, for the terms that are asked for."""
        vgg = self.vgg(images).float() if for_vgg and self.vgg is not None else None
        layers: list[Tensor] = []
        module: Any  # lpips has no types
        for backbone, module in self.lpips.items():
            share = self.shared and backbone == "vgg16"
            if not (for_lpips or (for_vgg and share)):
                continue
            scaled = module.scaling_layer(2 * images - 1)
            if share:
                seen, vgg = _vgg16_features(module.net, scaled)
                layers += seen
            else:
                layers += [layer.float() for layer in module.net(scaled)]
        return Features(layers, vgg)

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Eq. 8 from the feature maps of two sets of pictures, mean over the batch and over the
        backbones; a scalar."""
        modules: list[Any] = list(self.lpips.values())
        heads = [head for module in modules for head in module.lins]
        terms = [
            head((_unit(x) - _unit(y)) ** 2).float().mean()
            for head, x, y in zip(heads, a, b, strict=True)
        ]
        return torch.stack(terms).sum() / len(modules)


def _vgg16_features(net: Any, scaled: Tensor) -> tuple[list[Tensor], Tensor]:
    """One pass of LPIPS's VGG16: the maps that LPIPS compares, and conv5_3 from before its
    activation."""
    layers, x = [], scaled
    for part in (net.slice1, net.slice2, net.slice3, net.slice4):
        x = part(x)
        layers.append(x.float())
    conv5_3: Tensor = net.slice5[:-1](x)
    # The last activation works in place, which would spoil conv5_3.
    return [*layers, F.relu(conv5_3).float()], conv5_3.float()


def _unit(features: Tensor) -> Tensor:
    """Each position of (B, C, H, W) scaled to length 1, as LPIPS does."""
    # lpips.normalize_tensor takes a square root whose gradient at a position of zeros is NaN.
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    unit: Tensor = features / (norm + 1e-10)
    return unit
