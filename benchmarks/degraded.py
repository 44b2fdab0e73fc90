"""Models on LR that was made otherwise than by bicubic: PSNR less bicubic's of the same LR.

    python benchmarks/degraded.py --data Kodak --images 8      docs/experiments.md's table

PSNR on Y in dB, positive where the model is better than bicubic; the names are those of `edgesr
evaluate --degradation`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from command import in_words

from edgesr.data.named import Chain, parse_all
from edgesr.metrics import Image
from edgesr.quality.evaluate import Method, evaluate, load_images, upscaler_for

SHIPPED = "edge-xs,edge-s,edge-m,edge-s-gan,n4,n4-psnr"
KINDS = "clean,area,lanczos,cubic,nearest,jpeg95,jpeg75,jpeg50,jpeg30,blur,noise5,noise10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--models", default=SHIPPED)
    parser.add_argument("--degradation", default=KINDS)
    parser.add_argument("--data", type=Path, required=True, help="a folder of HR pictures")
    parser.add_argument("--images", type=int, help="the first so many")
    given = parser.parse_args()
    images = list(islice(load_images(given.data), given.images))
    names = given.models.split(",")
    methods = [upscaler_for(given.exports / name) for name in names]
    print(f"| LR | bicubic | {' | '.join(names)} |")
    print(f"|-|{'--:|' * (1 + len(names))}")
    for chain in parse_all(given.degradation):
        control, gains = measured(methods, images, chain)
        cells = " | ".join(f"{gain:+.2f}" for gain in gains)
        print(f"| {chain.name} | {control:.2f} | {cells} |", flush=True)


def measured(
    methods: Sequence[Method], images: Sequence[tuple[str, Image]], chain: Chain
) -> tuple[float, list[float]]:
    """Bicubic's mean PSNR, and what each method gains over it."""
    found = [evaluate(method, images, lpips=None, degradation=chain) for method in methods]
    control = found[0].bicubic.psnr_db
    return control, [each.mean.psnr_db - control for each in found]


if __name__ == "__main__":
    in_words(main)
