"""Sharp against faithful: what lies between a model and its GAN-trained successor.

    python benchmarks/curve.py n4-psnr:n4 edge-s:edge-s-gan --data Set5 Set14 --svg FILE

Prints PSNR and LPIPS of the blends (`edgesr blend`) of each pair at five alphas, and draws them
over the first set. LPIPS needs AlexNet's weights (`edgesr weights`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from command import in_words
from torch import nn

from edgesr import blend
from edgesr.losses.perceptual import build_lpips
from edgesr.models import zoo
from edgesr.quality.evaluate import evaluate, load_images, torch_upscaler
from edgesr.workspace import Workspace, write_text

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 64, 24, 20, 52
COLOURS = ("#2563a8", "#b4541a", "#2e7d4f")

Point = tuple[float, float]
"""LPIPS, and PSNR in dB."""
Curve = list[list[Point]]
"""For each alpha a point on each set."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="A:B")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    lpips = build_lpips("alexnet")
    curves = {}
    for pair in options.pairs:
        one, other = pair.split(":")
        curves[pair] = measured(one, other, options.data, lpips)
        print_table(one, other, curves[pair], options.data)
    if options.svg:
        first = {pair: [points[0] for points in curve] for pair, curve in curves.items()}
        write_text(options.svg, drawn(first, options.data[0].name))


def measured(one: str, other: str, sets: list[Path], lpips: nn.Module) -> Curve:
    workspace = Workspace(Path())
    ends = [zoo.load(workspace.find_weights(name)).module for name in (one, other)]
    curve = []
    for alpha in ALPHAS:
        network = blend.interpolate(*ends, alpha)  # type: ignore[arg-type]
        curve.append([_point(network, data, lpips) for data in sets])
    return curve


def _point(network: nn.Module, data: Path, lpips: nn.Module) -> Point:
    mean = evaluate(torch_upscaler(network), load_images(data), lpips=lpips).mean
    assert mean.lpips is not None
    return mean.lpips, mean.psnr_db


def print_table(one: str, other: str, curve: Curve, sets: list[Path]) -> None:
    names = {0.0: f"0: {one}", 1.0: f"1: {other}"}
    print("\n| alpha | " + " | ".join(f"{data.name}, dB | LPIPS" for data in sets) + " |")
    print("|---|" + "--:|--:|" * len(sets))
    for alpha, points in zip(ALPHAS, curve, strict=True):
        cells = [f"{psnr_db:.2f} | {lpips:.3f}" for lpips, psnr_db in points]
        print(f"| {names.get(alpha, f'{alpha:g}')} | " + " | ".join(cells) + " |")


def drawn(curves: dict[str, list[Point]], measured_on: str) -> str:
    """An SVG of PSNR over LPIPS; both axes begin and end where the points do, rounded."""
    xs, ys = zip(*(point for curve in curves.values() for point in curve), strict=True)
    x_ticks, y_ticks = _ticks(min(xs), max(xs), 0.02), _ticks(min(ys), max(ys), 0.5)

    def at(x: float, y: float) -> tuple[float, float]:
        right = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + right * across, 1), round(HEIGHT - BOTTOM - up * down, 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#444">',
        f"<title>PSNR over LPIPS on {measured_on}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for x in x_ticks:
        left, bottom = at(x, y_ticks[0])
        lines.append(f'<path d="M{left} {TOP}V{bottom}" stroke="#ddd"/>')
        lines.append(f'<text x="{left}" y="{bottom + 18}" text-anchor="middle">{x:.2f}</text>')
    for y in y_ticks:
        left, bottom = at(x_ticks[0], y)
        lines.append(f'<path d="M{left} {bottom}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 8}" y="{bottom + 4}" text-anchor="end">{y:.1f}</text>')
    lines.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">LPIPS</text>')
    lines.append(f'<text x="8" y="{TOP - 6}">PSNR on {measured_on}, dB</text>')
    for i, ((name, curve), colour) in enumerate(zip(curves.items(), COLOURS, strict=False)):
        places = [at(*point) for point in curve]
        path = " ".join(f"{x},{y}" for x, y in places)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in places]
        label, y = name.replace(":", " to "), TOP + 20 * (i + 1)
        lines.append(f'<text x="{LEFT + 12}" y="{y}" fill="{colour}">{label}</text>')
    return "\n".join([*lines, "</svg>\n"])


def _ticks(low: float, high: float, step: float) -> list[float]:
    """Multiples of `step` from just below `low` to just above `high`."""
    return [i * step for i in range(int(low // step), int(-(-high // step)) + 1)]


if __name__ == "__main__":
    in_words(main)
