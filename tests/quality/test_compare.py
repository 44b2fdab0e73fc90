"""Paired differences: intervals and tests against known values, and what is said of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from edgesr.console import Terminal
from edgesr.data.degrade import bicubic_up, to_image, to_tensor
from edgesr.errors import DataError, ModelError
from edgesr.models import zoo
from edgesr.quality import compare, present
from edgesr.quality.compare import METRICS, Comparison, compare_models, difference
from edgesr.quality.evaluate import Method, evaluate
from edgesr.quality.scores import Evaluation, Row, Scores
from edgesr.recipe import Edge
from edgesr.workspace import write_json

CONTROL = Scores(26.0, 0.7, 0.3, 25.0)
GAINS = (0.05, 0.11, 0.19, 0.02, 0.30, 0.08, 0.12)


def comparison(gains: tuple[float, ...] = GAINS, lpips: float | None = 0.2) -> Comparison:
    """B scores 30 dB on every picture, A `gains` dB more, and in SSIM and LPIPS a little better."""
    one, other = [], []
    for i, gain in enumerate(gains):
        better = None if lpips is None else lpips - gain / 10
        own = Scores(30 + gain, 0.8 + gain / 100, better, 29 + gain)
        one.append(Row(f"{i}", 64, 64, own, CONTROL))
        other.append(Row(f"{i}", 64, 64, Scores(30, 0.8, lpips, 29), CONTROL))
    return Comparison(("a", "b"), Evaluation(one, 4), Evaluation(other, 4))


def test_differences_of_one_sign_have_the_exact_p() -> None:
    found = difference(np.array(GAINS))
    assert found.p == pytest.approx(2 / 2**7)
    assert found.mean == pytest.approx(np.mean(GAINS))
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.mean < found.high < max(GAINS)
    assert found.shown


def test_the_interval_of_many_differences_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 400)
    found = difference(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)


def test_the_same_pictures_give_the_same_interval() -> None:
    assert difference(np.array(GAINS)) == difference(np.array(GAINS))


def test_differences_that_cancel_out_show_nothing() -> None:
    found = difference(np.array([0.1, -0.11, 0.2, -0.19, 0.05, -0.06, 0.3, -0.31]))
    assert not found.shown
    assert found.p is not None
    assert found.p > 0.5


def test_five_pictures_are_too_few_for_a_test_and_show_nothing() -> None:
    found = difference(np.array(GAINS[:5]))
    assert found.p is None
    assert found.p_missing == "5 pictures differ, a test takes 6 at least"
    assert not found.shown


def test_equal_models_have_no_test_and_an_interval_of_nothing() -> None:
    found = difference(np.zeros(9))
    assert (found.low, found.high, found.p) == (0, 0, None)
    assert found.p_missing == "no picture differs"


def test_the_same_difference_on_every_picture_needs_no_resampling() -> None:
    found = difference(np.full(8, 0.25))
    assert (found.low, found.high) == (0.25, 0.25)
    assert found.p == pytest.approx(2 / 2**8)


def test_one_picture_has_no_interval() -> None:
    assert difference(np.array([0.5])).low is None
    line = present.sentence(METRICS["psnr_db"], difference(np.array([0.5])))
    assert line.startswith("PSNR: not tested, A - B is +0.500 dB on average (1 picture, ")


def test_lower_lpips_is_called_better_and_lower_ssim_worse() -> None:
    lines = present.sentences(comparison())
    assert lines[0] == "A is a, B is b."
    assert lines[1].startswith("PSNR: A is 0.124 dB better on average (95 % CI 0.0")
    assert "7 pictures, Wilcoxon p = 0.016)" in lines[1]
    assert lines[3].startswith("LPIPS: A is 0.0124 better on average (95 % CI 0.00")
    turned = present.sentence(METRICS["ssim"], difference(-np.array(GAINS)))
    assert turned.startswith("SSIM: A is 0.1243 worse on average (95 % CI 0.0")


def test_no_difference_is_said_in_these_words() -> None:
    lines = present.sentences(comparison((0.1, -0.1) * 4))
    assert lines[1].startswith("PSNR: no difference shown, A - B is +0.000 dB")


def test_scores_that_a_model_lacks_are_left_out() -> None:
    assert list(comparison(lpips=None).differences()) == ["psnr_db", "ssim"]


def test_a_perfect_picture_leaves_psnr_out() -> None:
    found = comparison()
    found.one.rows[0] = Row("0", 64, 64, Scores(float("inf"), 1.0, 0.0, float("inf")), CONTROL)
    assert list(found.differences()) == ["ssim", "lpips"]
    assert "inf" in text_of(found)


def text_of(found: Comparison) -> str:
    stream = io.StringIO()
    Terminal(file=stream, width=80).print(present.table(found))
    return stream.getvalue()


def test_the_table_fits_80_columns_and_has_a_row_per_picture() -> None:
    text = text_of(comparison())
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "+0.300" in text
    assert "-0.0300" in text
    assert "0.016" in text


def test_json_keeps_what_a_has_and_adds_the_comparison(tmp_path: Path) -> None:
    found = comparison()
    write_json(tmp_path / "scores.json", found.as_dict())
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read["mean"] == found.one.as_dict()["mean"]
    against = read["against"]
    assert against["models"] == ["a", "b"]
    assert against["mean"]["psnr_db"] == 30
    assert [row["psnr_db"] for row in against["paired"]] == pytest.approx(list(GAINS))
    assert against["differences"]["lpips"]["mean"] == pytest.approx(-np.mean(GAINS) / 10)


def test_csv_has_both_models_and_the_interval_below_the_means() -> None:
    lines = list(csv.DictReader(io.StringIO(comparison().csv())))
    assert [line["image"] for line in lines] == [*"0123456", "mean", "low", "high", "p"]
    assert float(lines[4]["difference_psnr_db"]) == pytest.approx(0.3)
    assert float(lines[7]["against_psnr_db"]) == 30
    assert float(lines[10]["difference_psnr_db"]) == pytest.approx(2 / 2**7)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(2):
        noise = random.integers(0, 256, (10, 12, 3), np.uint8)
        Pillow.fromarray(noise.repeat(4, 0).repeat(4, 1)).save(folder / f"{i}.png")
    return folder


def test_models_of_any_kind_are_measured_on_the_same_pictures(
    tmp_path: Path, photographs: Path
) -> None:
    run = tmp_path / "run"
    for path in (run / "model.safetensors", tmp_path / "other.safetensors"):
        zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="test")
    found = compare_models(run, tmp_path / "other.safetensors", photographs)
    assert found.names == (str(run), str(tmp_path / "other.safetensors"))
    assert [row.image for row in found.one.rows] == ["0", "1"]
    assert [row.bicubic for row in found.one.rows] == [row.bicubic for row in found.other.rows]
    assert found.values()["psnr_db"].all()


def test_a_perfect_model_is_warned_of(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bicubic = lambda lr: to_image(bicubic_up(to_tensor(lr), 4))  # noqa: E731
    perfect = lambda lr: lr.repeat(4, 0).repeat(4, 1)  # noqa: E731
    found = iter([Method(4, bicubic), Method(4, perfect)])
    monkeypatch.setattr(compare, "upscaler_for", lambda _: next(found))
    flat = photographs / "flat"
    flat.mkdir()
    Pillow.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(flat / "flat.png")
    result = compare_models(Path("a"), Path("b"), flat)
    assert list(result.differences()) == ["ssim"]
    assert "PSNR is not compared" in capsys.readouterr().err


def test_a_second_model_that_is_missing_stops_before_anything_is_measured(
    tmp_path: Path, photographs: Path
) -> None:
    zoo.save(zoo.build(Edge(channels=4, depth=1)), tmp_path / "model.safetensors", licence="test")
    with pytest.raises(ModelError, match=r"nothing\.safetensors does not exist"):
        compare_models(
            tmp_path / "model.safetensors", tmp_path / "nothing.safetensors", photographs
        )


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    zoo.save(zoo.build(Edge(channels=4, depth=1)), tmp_path / "model.safetensors", licence="test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image"):
        compare_models(tmp_path, tmp_path, tmp_path / "empty")


def test_against_itself_nothing_differs() -> None:
    def bicubic(lr):
        return to_image(bicubic_up(to_tensor(lr), 4))

    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    same = evaluate(Method(4, bicubic), [("a", image)], lpips=None)
    found = Comparison(("a", "a"), same, same).differences()
    assert all(d.mean == 0 and d.p_missing == "no picture differs" for d in found.values())
