from __future__ import annotations

import csv
import io
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.console import Terminal
from edgesr.data.degrade import bicubic_up
from edgesr.errors import DataError, ModelError, WeightsError
from edgesr.losses.perceptual import find_lpips
from edgesr.metrics import Image
from edgesr.models import zoo
from edgesr.quality.compare import compare_models
from edgesr.quality.evaluate import (
    Method,
    evaluate,
    evaluate_model,
    load_images,
    to_image,
    to_tensor,
    upscaler_for,
)
from edgesr.quality.present import scores_table
from edgesr.quality.scores import Evaluation, Row, Scores, protocol
from edgesr.recipe import Edge
from edgesr.workspace import write_json


def bicubic(lr: Image) -> Image:
    return to_image(bicubic_up(to_tensor(lr), 4))


def picture(height: int = 40, width: int = 48, seed: int = 0) -> Image:
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (-(-height // 4), -(-width // 4), 3), np.uint8)
    return noise.repeat(4, 0).repeat(4, 1)[:height, :width]


def test_bicubic_as_the_model_scores_what_the_control_scores() -> None:
    result = evaluate(Method(4, bicubic), [("a", picture()), ("b", picture(seed=1))], lpips=None)
    assert [row.image for row in result.rows] == ["a", "b"]
    assert result.mean == result.bicubic
    assert result.mean.psnr_db == pytest.approx(np.mean([r.model.psnr_db for r in result.rows]))
    assert result.mean.lpips is None


def test_sides_that_four_does_not_divide_are_cropped() -> None:
    image = picture(43, 50)
    result = evaluate(Method(4, bicubic), [("odd", image)], lpips=None)
    row = result.rows[0]
    assert (row.width, row.height) == (48, 40)
    assert (
        row.model
        == evaluate(Method(4, bicubic), [("x", image[:40, :48])], lpips=None).rows[0].model
    )


def test_a_perfect_picture_is_infinite_in_the_table_null_in_json_and_finite_in_the_mean(
    tmp_path: Path,
) -> None:
    hr = picture()
    result = evaluate(Method(4, lambda _: hr), [("same", hr)], lpips=None)
    write_json(tmp_path / "scores.json", result.as_dict())
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read["protocol"] == protocol(4)
    assert read["images"][0]["psnr_db"] is None
    assert read["mean"]["psnr_db"] == IDENTICAL_DB
    assert read["mean"]["ssim"] == pytest.approx(1)
    assert read["images"][0]["bicubic_psnr_db"] < 30
    assert "inf" in text_of(result)


def test_csv_has_a_line_per_picture_and_the_means() -> None:
    result = evaluate(Method(4, bicubic), [("a,b", picture()), ("c", picture(seed=1))], lpips=None)
    lines = list(csv.DictReader(io.StringIO(result.csv())))
    assert [line["image"] for line in lines] == ["a,b", "c", "mean"]
    assert float(lines[2]["bicubic_ssim"]) == result.bicubic.ssim
    assert lines[0]["lpips"] == ""


def text_of(result: Evaluation) -> str:
    stream = io.StringIO()
    Terminal(file=stream, width=80).print(scores_table(result))
    return stream.getvalue()


def test_table_fits_80_columns_whatever_the_names() -> None:
    scores = Scores(31.234, 0.87654, 0.1234, 30.1)
    rows = [Row("a" * 100 + ".png", 512, 512, scores, Scores(28.0, 0.8, 0.34, 27.0))]
    text = text_of(Evaluation(rows, 4))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "31.23" in text
    assert "+3.23" in text
    assert "0.8765" in text
    assert "0.123" in text
    assert "mean, bicubic" in text


@pytest.mark.parametrize(("height", "width"), [(31, 64), (64, 33 - 2)])
def test_a_picture_too_small_to_measure_is_an_error(height: int, width: int) -> None:
    with pytest.raises(DataError, match=r"tiny\.png is .* too small"):
        evaluate(Method(4, bicubic), [("tiny.png", picture(height, width))], lpips=None)


def test_no_picture_is_an_error() -> None:
    with pytest.raises(DataError, match="no usable picture"):
        evaluate(Method(4, bicubic), [], lpips=None)


def test_a_model_of_another_scale_is_an_error() -> None:
    with pytest.raises(ModelError, match="expected"):
        evaluate(Method(4, lambda lr: lr.repeat(2, 0).repeat(2, 1)), [("a", picture())], lpips=None)


def test_pictures_are_read_from_a_folder_and_bad_ones_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Pillow.fromarray(picture()).save(tmp_path / "good.png")
    Pillow.fromarray(picture(16, 16)).save(tmp_path / "tiny.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    images = list(load_images(tmp_path))
    assert [name for name, _ in images] == ["good"]
    np.testing.assert_array_equal(images[0][1], picture())
    warnings = capsys.readouterr().err
    assert "broken.png" in warnings
    assert "tiny.png" in warnings


def test_lpips_is_left_out_with_a_warning_where_weights_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_lpips() is None
    assert "edgesr weights --fetch" in capsys.readouterr().err


def test_damaged_lpips_weights_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "alexnet.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError):
        find_lpips(str(tmp_path))


@pytest.mark.parametrize("what", ["checkpoint", "run folder"])
def test_a_torch_model_enlarges(tmp_path: Path, what: str) -> None:
    torch.manual_seed(0)
    student = zoo.build(Edge(channels=4, depth=1)).eval()
    path = tmp_path / "model.safetensors"
    zoo.save(student, path, licence="test")
    lr = picture(9, 7)
    sr = upscaler_for(path if what == "checkpoint" else tmp_path)(lr)
    assert sr.shape == (36, 28, 3)
    with torch.no_grad():
        exact = student(to_tensor(lr))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(sr, np.floor(exact.clip(0, 1) * 255 + 0.5).astype(np.uint8))


def test_a_model_is_evaluated_on_a_folder(tmp_path: Path) -> None:
    zoo.save(zoo.build(Edge(channels=4, depth=1)), tmp_path / "model.safetensors", licence="test")
    Pillow.fromarray(picture()).save(tmp_path / "one.png")
    result = evaluate_model(tmp_path / "model.safetensors", tmp_path)
    assert [row.image for row in result.rows] == ["one"]


@pytest.mark.parametrize("bundle", [True, False])
def test_onnx_files_and_bundles_go_through_the_upscaler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: bool
) -> None:
    class Upscaler:
        scale = 4

        def __init__(self, path: Path) -> None:
            self.path = path

        def __call__(self, lr: Image) -> Image:
            return lr.repeat(4, 0).repeat(4, 1)

    module = types.ModuleType("edgesr.inference.upscaler")
    module.Upscaler = Upscaler  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edgesr.inference.upscaler", module)
    (tmp_path / "model.onnx").write_bytes(b"")
    path = tmp_path if bundle else tmp_path / "model.onnx"
    method = upscaler_for(path)
    assert method.upscale.path == path  # type: ignore[attr-defined]
    assert method(picture(8, 8)).shape == (32, 32, 3)


def test_what_is_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a bundle"):
        upscaler_for(tmp_path)
    with pytest.raises(ModelError, match="does not exist"):
        upscaler_for(tmp_path / "model.safetensors")


def test_bicubic_on_set5_has_the_published_lpips(shared: Path) -> None:
    lpips = find_lpips(str(shared / "weights"))
    images = load_images(shared / "data/benchmarks/Set5")
    result = evaluate(Method(4, bicubic), images, lpips=lpips)
    assert len(result.rows) == 5
    assert result.bicubic.lpips == pytest.approx(0.340, abs=0.002)
    assert result.bicubic.psnr_db == pytest.approx(28.42, abs=0.02)


@pytest.mark.parametrize(
    ("name", "psnr_db", "lpips"), [("srresnet16", 32.02, 0.179), ("srgan16", 29.19, 0.088)]
)
def test_published_generators_score_their_published_numbers_on_set5(
    shared: Path, name: str, psnr_db: float, lpips: float
) -> None:
    upscale = upscaler_for(shared / f"teachers/{name}.safetensors")
    images = load_images(shared / "data/benchmarks/Set5")
    result = evaluate(upscale, images, lpips=find_lpips(str(shared / "weights")))
    assert result.mean.psnr_db == pytest.approx(psnr_db, abs=0.02)
    assert result.mean.lpips == pytest.approx(lpips, abs=0.002)


def test_missing_pictures_and_weights_are_told_before_a_model_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model is none: its fault would be told first."""
    with pytest.raises(DataError, match="nowhere is missing"):
        evaluate_model(tmp_path / "none", tmp_path / "nowhere")
    with pytest.raises(DataError, match="nowhere is missing"):
        compare_models(tmp_path / "none", tmp_path / "none", tmp_path / "nowhere")
    (tmp_path / "a.png").touch()
    with pytest.raises(ModelError):
        evaluate_model(tmp_path / "none", tmp_path)
    assert "LPIPS is left out" in capsys.readouterr().err
