"""A bundle of a student of Y: its files take one channel, and edgesr gives them colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgesr.bundle.check import check
from edgesr.bundle.records.card import Card
from edgesr.inference.tiling import to_bytes
from edgesr.inference.upscaler import Upscaler
from edgesr.models import zoo
from edgesr.verify.jobs import plan
from edgesr.verify.parity import expected, parity

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def test_the_card_says_that_it_is_of_y(luma: Path) -> None:
    card = Card.read(luma / "card.json")
    for name, variant in card.variants.items():
        assert variant.input.colour == variant.output.colour == "Y"
        assert variant.input.shape[3 if "uint8-io" in name else 1] == 1
    assert "0.299 R" in (luma / "README.md").read_text()


def test_golden_vectors_are_grey_so_that_an_app_feeds_one_of_their_channels(luma: Path) -> None:
    assert all(row.passed for row in check(luma))
    session = onnxruntime.InferenceSession(luma / "model.onnx")
    grey = np.fromfile(luma / "golden/noise.rgb", np.uint8).reshape(9, 17, 3)
    assert (grey == grey[..., :1]).all()
    sr = session.run(["sr"], {"lr": grey[None, None, ..., 0].astype(np.float32) / 255})[0]
    wanted = np.fromfile(luma / "golden/noise.f32", "<f4").reshape(1, 3, 36, 68)
    assert np.abs(sr - wanted).max() <= 1e-4


@pytest.mark.parametrize("variant", ["fp32", "uint8-io", "fp32-40x24"])
def test_every_file_is_the_network(luma: Path, variant: str) -> None:
    card, module = Card.read(luma / "card.json"), zoo.load(luma / "weights.safetensors").module
    wanted = {"fp32": card.variants["fp32"], variant: card.variants[variant]}
    jobs, _ = plan(luma, wanted, ["cpu"], 1, halo=card.halo)
    (job,) = (each for each in jobs if each.variant == variant)
    references = expected(
        module,
        bytes_io=job.bytes_io,
        window=job.window,
        halo=job.halo,  # type: ignore[arg-type]
    )
    with job.opened() as (run, _):
        assert parity(references, run)["max_abs_diff"] <= (1.01 / 255 if job.bytes_io else 1e-5)


def test_grey_goes_through_the_network_alone(luma: Path) -> None:
    y = PICTURE[..., 0]
    session = onnxruntime.InferenceSession(luma / "model.onnx")
    sr = session.run(["sr"], {"lr": y[None, None].astype(np.float32) / 255})[0][0, 0]
    assert np.array_equal(Upscaler(luma)(y), to_bytes(sr))


@pytest.mark.parametrize("variant", ["fp32", "uint8-io", "int8-uint8-io", "fp32-40x24"])
def test_colours_keep_their_y_and_gain_chroma_by_bicubic(luma: Path, variant: str) -> None:
    upscaler = Upscaler(luma, variant=variant)
    large = upscaler(PICTURE).astype(np.float32)
    y = (PICTURE @ np.array([0.299, 0.587, 0.114]) + 0.5).astype(np.uint8)
    inside = (large > 0).all(2) & (large < 255).all(2)
    off = large @ np.array([0.299, 0.587, 0.114]) - upscaler(y)
    assert inside.any()
    assert np.abs(off[inside]).max() <= 2


def test_tiles_are_seamless(luma: Path) -> None:
    assert np.array_equal(Upscaler(luma, tile=8)(PICTURE), Upscaler(luma)(PICTURE))
