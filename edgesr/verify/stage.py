"""verify(): a bundle in, the evidence out; verify.json and junit.xml in the bundle's folder.

checksums -> provider proof -> parity -> speed -> cost -> quality -> gates
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from edgesr import __version__, console, recipe_io
from edgesr.data import photos
from edgesr.deploy.bundle import FORMAT as CARD_FORMAT
from edgesr.deploy.session import open_session
from edgesr.errors import VerifyError
from edgesr.machine import machine
from edgesr.models import zoo
from edgesr.quality.evaluate import evaluate, load_images
from edgesr.recipe import Recipe
from edgesr.upscale import Upscaler
from edgesr.verify import cost, gates, parity, providers, speed
from edgesr.verify.junit import junit
from edgesr.workspace import sha256, write_json, write_text

Evidence = dict[str, Any]
FORMAT = 1
FACTS = ("name", "architecture", "role", "spec", "teacher")
FILES = ("model.onnx", "weights.safetensors", "recipe.toml")


def bundles(exports: Path) -> list[Path]:
    """Every bundle's folder in `exports`.

    Raises:
        VerifyError: there is none.
    """
    found = sorted(path.parent for path in exports.glob("*/card.json"))
    if not found:
        raise VerifyError(f"no bundle in {exports}", "Make one: edgesr export --onnx")
    return found


def verify(
    folder: Path, *, providers: list[str] | None = None, data: Path | None = None
) -> Evidence:
    """Measure a bundle and check its recipe's gates.

    Args:
        folder: the bundle.
        providers: "cpu", "cuda"; what is asked for must really run. None: CPU, and CUDA where it
            works.
        data: HR photographs to measure quality on; the embedded held-out one unless given.

    Returns:
        The evidence, which is also written to verify.json and junit.xml; "passed" says whether
        all gates hold.

    Raises:
        VerifyError: the bundle is not what its card says, or cannot be run as asked.
    """
    card = read_card(folder)
    recipe = recipe_io.load(folder / "recipe.toml")
    console.say(f"{folder.name}: provider proof, parity, speed, quality")
    evidence = _measure(folder, card, recipe, providers, data)
    evidence["gates"] = gates.check(recipe.gates, evidence)
    evidence["passed"] = all(gate["passed"] for gate in evidence["gates"])
    write_json(folder / "verify.json", evidence)
    write_text(folder / "junit.xml", junit(evidence))
    return evidence


def read_card(folder: Path) -> dict[str, Any]:
    """card.json of a bundle whose files are those that it was written with.

    Raises:
        VerifyError: there is none, it is incomplete, or a file does not match its SHA-256.
    """
    path = folder / "card.json"
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerifyError(
            f"{folder} is no bundle: {error}", "Make one: edgesr export --onnx"
        ) from None
    _check_card(path, card)
    for name in FILES:
        if not (folder / name).is_file() or sha256(folder / name) != card["sha256"][name]:
            raise VerifyError(
                f"{folder / name} is not the file that card.json was written for",
                "Export the bundle again, or restore the file.",
            )
    return card


def _check_card(path: Path, card: object) -> None:
    again = "Export the bundle again with this version of edgesr."
    if not isinstance(card, dict) or card.get("format") != CARD_FORMAT:
        raise VerifyError(f"{path} is no card of format {CARD_FORMAT}", again)
    sums = card.get("sha256")
    stated = sums if isinstance(sums, dict) else {}
    missing = [fact for fact in FACTS if fact not in card]
    missing += [f"SHA-256 of {name}" for name in FILES if name not in stated]
    if missing:
        raise VerifyError(f"{path} does not state: {', '.join(missing)}", again)


def _measure(
    folder: Path, card: dict[str, Any], recipe: Recipe, asked: list[str] | None, data: Path | None
) -> Evidence:
    model, settings = folder / "model.onnx", recipe.verify
    placed = providers.placements(model, asked, settings.threads)
    running = [p.provider for p in placed if p.available]
    return {
        "format": FORMAT,
        "bundle": card["name"],
        "architecture": card["architecture"],
        "role": card["role"],
        "versions": _versions(),
        "machine": machine(),
        "file": {"bytes": model.stat().st_size},
        "providers": [p.as_dict() for p in placed],
        "parity": [_parity(folder, provider, settings.threads) for provider in running],
        "speed": [speed.speed(model, providers.NAMES[provider], settings) for provider in running],
        "cost": cost.compare(card, settings.size),
        "quality": [_quality(folder, data, running[0], settings.threads)],
    }


def _parity(folder: Path, provider: str, threads: int) -> dict[str, Any]:
    reference = zoo.load(folder / "weights.safetensors").module
    session = open_session(
        folder / "model.onnx", provider=providers.NAMES[provider], threads=threads
    )

    def run(lr: NDArray[np.float32]) -> NDArray[np.float32]:
        sr: NDArray[np.float32] = session.run(["sr"], {"lr": lr})[0]
        return sr

    return {"provider": provider, **parity.parity(reference, run)}


def _quality(folder: Path, data: Path | None, provider: str, threads: int) -> dict[str, Any]:
    upscaler = Upscaler(folder, threads=threads, provider=providers.NAMES[provider])
    result = evaluate(upscaler, _images(data), lpips=None)
    return {
        "data": str(data) if data else "astronaut (embedded, held out)",
        "images": len(result.rows),
        "psnr_db": result.mean.psnr_db,
        "ssim": result.mean.ssim,
        "bicubic_psnr_db": result.bicubic.psnr_db,
        "bicubic_ssim": result.bicubic.ssim,
    }


def _images(data: Path | None) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    if data is not None:
        yield from load_images(data)
        return
    for path in photos.embedded().validation:
        yield path.stem, photos.decode(path)


def _versions() -> dict[str, str]:
    return {
        "edgesr": __version__,
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
