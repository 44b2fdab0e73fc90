"""Pictures: what is shown, where the crops lie, and that the pixels arrive unchanged."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.data import photos
from edgesr.report import pictures


def decoded(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, write_bundle) -> pictures.Pictures:
    exports = tmp_path_factory.mktemp("exports")
    models = {role: write_bundle(exports / role, role) for role in ("teacher", "student")}
    return pictures.pictures(models, 4)


def test_the_held_out_photograph_is_shown_lossless_and_last(shown: pictures.Pictures) -> None:
    names = [picture.name for picture in shown.pictures]
    assert names == ["bicubic", "teacher", "student", "ground truth"]
    hr = photos.decode(photos.embedded().validation[0])
    assert np.array_equal(decoded(shown.pictures[-1].uri), hr)
    assert (shown.height, shown.width) == hr.shape[:2]


def test_a_model_repeating_pixels_is_worse_than_bicubic(shown: pictures.Pictures) -> None:
    score = {picture.name: picture.psnr_db for picture in shown.pictures}
    assert score["ground truth"] is None
    assert score["bicubic"] == pytest.approx(26.84, abs=0.01)
    assert score["student"] == score["teacher"] < score["bicubic"]


def test_the_model_runs_on_the_reduction_not_on_the_photograph(shown: pictures.Pictures) -> None:
    student = decoded(shown.pictures[2].uri)
    assert np.array_equal(student, student[::4, ::4].repeat(4, 0).repeat(4, 1))


def test_crops_are_four_pictures_enlarged_without_smoothing(shown: pictures.Pictures) -> None:
    assert len(shown.crops) == 2
    for crop in shown.crops:
        assert [p.name for p in crop.pictures] == [p.name for p in shown.pictures]
        truth = decoded(shown.pictures[-1].uri)
        square = truth[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
        assert np.array_equal(decoded(crop.pictures[-1].uri), square.repeat(2, 0).repeat(2, 1))


def test_the_worst_squares_hold_the_errors_and_do_not_overlap() -> None:
    hr = np.zeros((90, 120, 3), np.uint8)
    sr = hr.copy()
    sr[70:80, 100:110] = 200
    sr[72:82, 30:40] = 90
    (x1, y1), (x2, y2) = pictures.worst(sr, hr, 20)
    assert x1 <= 100 <= x1 + 10
    assert y1 <= 70 <= y1 + 10
    assert x2 <= 30 <= x2 + 10
    assert y2 <= 72 <= y2 + 10


def test_a_picture_with_room_for_one_square_has_one() -> None:
    hr = np.zeros((20, 30, 3), np.uint8)
    assert len(pictures.worst(hr + np.uint8(1), hr, 20)) == 1


def test_a_model_that_is_no_onnx_file_is_an_error(tmp_path: Path) -> None:
    from edgesr.errors import EdgesrError

    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(EdgesrError):
        pictures.pictures({"student": tmp_path}, 4)
