"""What `upscale` takes and does where its source is a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesr import console
from edgesr.bounds import check_size, parse_size
from edgesr.cli.options import write_scores
from edgesr.inference.suited import CLEAN, FILMED, REAL
from edgesr.inference.upscale_files import Chooser
from edgesr.video.encoding import Encoding
from edgesr.video.facts import Damaged, VideoError
from edgesr.video.stage import PIPE, beside, is_video, upscale_video
from edgesr.video.y4m import Raw
from edgesr.workspace import Workspace

__all__ = ["PIPE", "Encoding", "beside", "is_video"]

PANEL = "Videos"
Codec = Annotated[
    str,
    typer.Option(metavar="NAME", help="libx264, libx265, libvpx-vp9 ...", rich_help_panel=PANEL),
]
Crf = Annotated[int | None, typer.Option(help="Lower is better; 18.", rich_help_panel=PANEL)]
Preset = Annotated[
    str, typer.Option(metavar="NAME", help="Speed against size.", rich_help_panel=PANEL)
]
Pixels = Annotated[
    str,
    typer.Option("--pix-fmt", metavar="NAME", help="yuv420p, yuv444p ...", rich_help_panel=PANEL),
]
FrameSize = Annotated[
    str,
    typer.Option(
        "--size", metavar="WxH", help="Of raw frames, as --pix-fmt.", rich_help_panel=PANEL
    ),
]
Segment = Annotated[
    float | None,
    typer.Option(min=1, metavar="SECONDS", help="Finish it piece by piece.", rich_help_panel=PANEL),
]
OfDamaged = Annotated[
    Damaged,
    typer.Option("--damaged", help="What to do about frames.", rich_help_panel=PANEL),
]


def suited(workspace: Workspace) -> Path:
    """The bundle for a video where no model is named: nearly every one was compressed.

    Raises:
        VideoError: there is none.
    """
    for name in (FILMED, REAL, CLEAN):
        if (bundle := workspace.bundle(name)).is_dir():
            console.say(f"enlarged by {name} (--model names another)")
            return bundle
    raise VideoError(
        f"no model is named, and none of {FILMED}, {REAL} and {CLEAN} is in exports/",
        "Name one: --model NAME, a bundle's folder or an ONNX file.",
    )


def raw(size: str, pixels: str) -> Raw | None:
    """What frames without a header are; None where they have one.

    Raises:
        VideoError: the size is not WIDTHxHEIGHT.
    """
    if not size:
        return None
    try:
        return Raw(*parse_size(check_size(size)), pixels or "rgb24")
    except ValueError as error:
        raise VideoError(f"--size {size}: {error}") from None


def upscale(
    enlarge: Chooser,
    source: Path,
    target: Path,
    encoding: Encoding,
    damaged: Damaged,
    raw: Raw | None,
    segment: float | None,
) -> None:
    """Enlarge a video, and say where it is."""
    frames = upscale_video(
        enlarge,
        source,
        target,
        encoding=encoding,
        damaged=damaged,
        raw=raw,
        segment=segment,
        bar=console.bar,
    )
    console.say(f"{'stdout' if target == PIPE else target}: {frames} frames")


def evaluate(
    found: Path, truth: Path, weights: str, output: Path | None, *, other_options: bool
) -> None:
    """Compare two videos frame by frame.

    Raises:
        VideoError: the second is not a video, or an option is given that is for models.
    """
    from edgesr.quality.clips import compare_clips

    if not is_video(truth) or other_options:
        raise VideoError(
            f"{found} is a video: expected a second video as --data, and no other option than "
            "--weights and --output"
        )
    scores = compare_clips(found, truth, weights)
    console.out.print(scores.table())
    console.say(scores.protocol)
    write_scores(scores, output)
