"""Eight bits within a budget of quality.

calibrate by each method and set of pictures -> keep the best -> fine-tune where it is not good
enough -> keep the most harmful layers in float until what is lost is within the recipe's limits:
PSNR of held-out photographs on Y and RGB, likeness of pictures of every kind, flat colours
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType

from edgesr import console
from edgesr.deploy.export import to_graph
from edgesr.deploy.fidelity import Fidelity, Judge, Run
from edgesr.deploy.finetune import finetune
from edgesr.deploy.heldout import Pair, Values, calibration, heldout, run_of, score
from edgesr.deploy.int8_tail import repeat_by_concat
from edgesr.deploy.quantiser import METHODS, Quantiser
from edgesr.errors import ExportError
from edgesr.inference.luma import luma
from edgesr.inference.padding import padded
from edgesr.models.zoo import Network, Student, colours_of
from edgesr.recipe import AnyRecipe, Recipe


@dataclass(frozen=True)
class Loss:
    """What lower precision loses.

    Attributes:
        psnr_db: of the held-out photographs, on Y or RGB, whichever loses more.
        fidelity: how like the float network's pictures are.
        strain: the largest of these errors over what the recipe allows; at most 1 where all hold.
    """

    psnr_db: float
    fidelity: Fidelity
    strain: float


@dataclass(frozen=True)
class Int8:
    """An int8 graph and how it came about.

    Attributes:
        model: the graph.
        ranges: the pictures that set its ranges.
        method: how they did.
        loss: what it loses.
        in_float: the convolutions that stay in float.
    """

    model: onnx.ModelProto
    ranges: str
    method: str
    loss: Loss
    in_float: list[str]


class Court:
    """Judges what stands in for a float graph: int8 graphs, whose fine-tuned copies answer to it
    too, and files for other runtimes.

    Args:
        fp32: the graph.
        photographs: held-out ones.
    """

    def __init__(
        self, fp32: onnx.ModelProto, photographs: list[Pair], recipe: AnyRecipe, scale: int
    ) -> None:
        self._recipe, self._photographs = recipe, photographs
        self._reference = score(run_of(fp32), photographs)
        self._judge = Judge(run_of(fp32), scale)

    def __call__(self, run: Run) -> Loss:
        """What the pictures that `run` makes lose against the float graph's.

        Raises:
            ExportError: an output is not finite.
        """
        found = score(run, self._photographs)
        lost = max(self._reference.y_db - found.y_db, self._reference.rgb_db - found.rgb_db)
        fidelity = self._judge(run)
        return Loss(lost, fidelity, strain(lost, fidelity, self._recipe))


def strain(lost: float, fidelity: Fidelity, recipe: AnyRecipe) -> float:
    """The largest error over what is allowed: of PSNR, of each kind of picture, of flat colours."""
    gates = recipe.gates.int8
    found = [lost / recipe.export.int8.max_psnr_loss_db]
    for kind, value in fidelity.kinds_db.items():
        if (least := getattr(gates, f"min_{kind}_db")) is not None:
            found.append(10 ** ((least - value) / 20))
    if gates.max_flat_levels is not None:
        found.append((fidelity.flat_levels + 1) / (gates.max_flat_levels + 1))
    return max(found)


@dataclass(frozen=True)
class Chosen:
    """How a network has eight bits, for files of other integers that are made likewise.

    Attributes:
        int8: the graph, and how it came about.
        quantiser: of the network, fine-tuned where that was needed.
        facts: what card.json says of the graph.
    """

    int8: Int8
    quantiser: Quantiser
    court: Court
    facts: dict[str, Any]


def to_a16w8(chosen: Chosen) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The network of `chosen` with activations of 16 bits, the same ranges, weights and layers in
    float, and what card.json says of it.

    Raises:
        ExportError: it loses more than the recipe allows, and than eight bits do.
    """
    int8 = chosen.int8
    wide = dataclasses.replace(chosen.quantiser, activations=QuantType.QUInt16)
    own = [name for name in int8.in_float if name not in wide.narrow]
    found = _made(wide, chosen.court, int8.ranges, int8.method, own)
    check_limits("activations of 16 bits", found.loss, int8.loss)
    return found.model, likewise(chosen.facts, found.loss, NEEDS_16_BITS)


def check_limits(what: str, loss: Loss, of_int8: Loss) -> None:
    """Refuse a graph of other integers that was made as int8's was.

    Raises:
        ExportError: it loses more than the recipe allows, and than int8's does.
    """
    if loss.strain > max(1, of_int8.strain):
        raise ExportError(
            f"{what} lose {loss.psnr_db:.2f} dB, or fall short of gates.int8 on a kind of picture"
        )


def likewise(facts: dict[str, Any], loss: Loss, needs: str) -> dict[str, Any]:
    """What card.json says of such a graph.

    Args:
        facts: what it says of int8's.
    """
    chosen_among = ("psnr_loss_db", "psnr_loss_db_of_one_layer")
    own = {key: value for key, value in facts.items() if key not in chosen_among}
    return own | lost(loss) | {"needs": needs}


def to_int8(module: Network, fp32: onnx.ModelProto, recipe: AnyRecipe) -> Chosen:
    """`fp32`, the graph of `module`, in eight bits, and what card.json says of it.

    A network of another project is not fine-tuned.

    Raises:
        ExportError: such a network does not keep to the limits, or has more than `MOST_LAYERS`.
        DataError: the recipe's photographs are not there.
    """
    settings, fp32, scale = recipe.export.int8, repeat_by_concat(fp32), module.scale
    ranges = _fitting(calibration(recipe.data, settings.images, scale), fp32)
    judges = heldout(recipe.data, scale)
    court = Court(fp32, judges, recipe, scale)
    quantiser = Quantiser(fp32, ranges, settings.min_channels, settings.reduce_range)
    tried = calibrate(quantiser, court)
    best, tuned = min(tried, key=_strain), False
    many = not isinstance(module, Student) and len(quantiser.layers) > MOST_LAYERS
    if best.loss.strain > 1 and many:
        raise ExportError(
            f"calibration alone loses {best.loss.psnr_db:.2f} dB, and above {MOST_LAYERS} "
            "convolutions it is not looked for which of them to keep in float"
        )
    if best.loss.strain > 1 and settings.finetune_steps and isinstance(module, Student):
        assert isinstance(recipe, Recipe)
        graph, _ = to_graph(finetune(module, recipe), recipe.export, colours_of(module))
        graph.metadata_props.extend(fp32.metadata_props)
        better = dataclasses.replace(quantiser, fp32=repeat_by_concat(graph))
        candidate = min(calibrate(better, court), key=_strain)
        if candidate.loss.strain < best.loss.strain:
            best, quantiser, tuned = candidate, better, True
    damage: dict[str, Loss] = {}
    if best.loss.strain > 1:
        damage = rank(quantiser, court, best)
        best = keep_in_float(quantiser, court, best, list(damage))
    nothing_left = len(best.in_float) == len(quantiser.layers) + len(quantiser.narrow)
    if (best.loss.strain > 1 or nothing_left) and not isinstance(module, Student):
        raise ExportError(
            "no convolution can have eight bits: each loses more than "
            f"{settings.max_psnr_loss_db:g} dB, falls short of gates.int8 on a kind of picture, or "
            f"has fewer than {settings.min_channels} channels"
        )
    _say(best, quantiser)
    facts = {
        "needs": NEEDS[settings.reduce_range],
        "calibration": best.method,
        "calibrated_on": best.ranges,
        "calibration_images": len(ranges[best.ranges]),
        "psnr_loss_db": {
            f"{found.method}, {found.ranges}": round(found.loss.psnr_db, 4) for found in tried
        },
        "finetuned": tuned,
        "psnr_loss_db_of_one_layer": {
            name: round(loss.psnr_db, 4) for name, loss in damage.items()
        },
        "float_layers": best.in_float,
        "layers": len(quantiser.layers) + len(quantiser.narrow),
        **lost(best.loss),
        "judged_on": f"{len(judges)} held-out photographs",
    }
    return Chosen(best, quantiser, court, facts)


def lost(loss: Loss) -> dict[str, Any]:
    """What card.json says of it."""
    return {
        "psnr_loss_db_shipped": round(loss.psnr_db, 4),
        "likeness_db": {kind: round(db, 2) for kind, db in loss.fidelity.kinds_db.items()},
        "flat_levels": loss.fidelity.flat_levels,
    }


NEEDS = {
    True: "nothing: its sums fit 16 bits on every processor",
    False: "VNNI or a processor that adds in 32 bits: elsewhere 16-bit sums saturate",
}
"""What a processor needs for an int8 file, by export.int8.reduce_range."""
NEEDS_16_BITS = "16-bit activations, as QNN's HTP has; ONNX Runtime's CPU computes it in float"


def _fitting(ranges: dict[str, list[Values]], fp32: onnx.ModelProto) -> dict[str, list[Values]]:
    """Pictures at sizes, and of colours, that the file takes."""
    facts = {entry.key: entry.value for entry in fp32.metadata_props}
    multiple, least = (int(facts.get(f"edgesr.{key}", "1")) for key in ("multiple", "min_size"))
    seen = luma if facts.get("edgesr.colour") == "Y" else np.asarray
    return {
        name: [seen(padded(lr, (2, 3), multiple, least)) for lr in pictures]
        for name, pictures in ranges.items()
    }


MOST_LAYERS = 80
"""Each is tried alone, which takes as long as a calibration."""


def _strain(found: Int8) -> float:
    return found.loss.strain


def calibrate(quantiser: Quantiser, court: Court) -> list[Int8]:
    """All convolutions in eight bits, by each method over each set of pictures."""
    ways = list(product(quantiser.ranges, METHODS))
    return [
        _made(quantiser, court, ranges, method, [])
        for ranges, method in console.track(ways, "calibration", len(ways))
    ]


def rank(quantiser: Quantiser, court: Court, like: Int8) -> dict[str, Loss]:
    """Convolution -> what is lost where it alone has eight bits; the worst first."""
    layers = quantiser.layers
    damage = {}
    for layer in console.track(layers, "layers", len(layers)):
        others = [other for other in layers if other != layer]
        damage[layer] = _made(quantiser, court, like.ranges, like.method, others).loss
    return dict(sorted(damage.items(), key=lambda entry: -entry[1].strain))


def keep_in_float(quantiser: Quantiser, court: Court, worst: Int8, order: list[str]) -> Int8:
    """The first graph whose strain is at most 1 as layers move to float, in `order`."""
    for count in range(1, len(order)):
        found = _made(quantiser, court, worst.ranges, worst.method, order[:count])
        if found.loss.strain <= 1:
            return found
    return _made(quantiser, court, worst.ranges, worst.method, order)


def _made(
    quantiser: Quantiser, court: Court, ranges: str, method: str, in_float: list[str]
) -> Int8:
    model = quantiser.quantise(ranges, method, in_float)
    return Int8(model, ranges, method, court(run_of(model)), [*quantiser.narrow, *in_float])


def _say(found: Int8, quantiser: Quantiser) -> None:
    kept = f", in float: {', '.join(found.in_float)}" if found.in_float else ""
    console.say(
        f"int8: {found.loss.psnr_db:.3f} dB lost by {found.method} ranges of {found.ranges}{kept}"
    )
    total = len(quantiser.layers) + len(quantiser.narrow)
    if 2 * len(found.in_float) > total:
        console.warn(
            f"{len(found.in_float)} of {total} convolutions stay in float to keep the limits of "
            "export.int8.max_psnr_loss_db and gates.int8: allow export.int8.finetune_steps, or more"
        )
