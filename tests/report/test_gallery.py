"""The gallery: which pictures, in which order, and where their crops lie."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr.bundle.records.rows import Scores
from edgesr.data import judges
from edgesr.data.photos import decode, digest
from edgesr.errors import EdgesrError, ModelError
from edgesr.models import zoo
from edgesr.quality.evaluate import Method
from edgesr.recipe import Edge
from edgesr.report import bundles, gallery, stage
from edgesr.report.gallery import Source, shot, source_of, teacher_file
from edgesr.workspace import Workspace, sha256, write_text


def nearest(lr: np.ndarray) -> np.ndarray:
    return lr.repeat(4, 0).repeat(4, 1)


def measured(evidence, data: Path | str) -> dict[str, Any]:
    """A verify.json whose quality was measured on the pictures in `data`."""
    verify: dict[str, Any] = evidence("n4", True)
    (row,) = verify["quality"]
    score = {key: row[key] for key in Scores.model_fields}
    pictures = [
        score | {"image": path.name, "width": 4, "height": 4, "sha256": digest(decode(path))}
        for path in sorted(Path(data).glob("*"))
    ]
    verify["quality"] = [row | {"data": Path(data).name, "pictures": pictures}]
    return verify


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """`blocks`, where repeating pixels beats bicubic, and `smooth`, where it does not."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (32, 28, 3), np.uint8)
    Image.fromarray(nearest(noise)).save(folder / "blocks.png")
    soft = Image.fromarray(noise[:8, :7]).resize((112, 128), Image.Resampling.BICUBIC)
    soft.save(folder / "smooth.png")
    return folder


def test_every_picture_is_there_the_smallest_gain_over_bicubic_first(
    make_bundle, evidence, photographs: Path
) -> None:
    folder = make_bundle("n4", verify=measured(evidence, photographs))
    found = gallery.gallery(bundles.read(folder), None, photographs)
    assert [shot.photo for shot in found.shots] == ["smooth", "blocks"]
    assert found.shots[0].gain_db < 0 < found.shots[1].gain_db
    assert (found.of, found.source.name, found.against) == (2, "photographs", "ground truth")
    names = [picture.name for picture in found.shots[0].pictures]
    assert names == ["bicubic", "student", "ground truth"]


def test_of_many_pictures_the_worst_are_kept_and_the_page_says_how_many(
    make_bundle, evidence, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "MOST", 1)
    folder = make_bundle("n4", verify=measured(evidence, photographs))
    page = stage.report(folder, folder.parent, data=photographs).read_text(encoding="utf-8")
    assert "the 1 worst of 2 pictures" in page
    assert "smooth, student" in page
    assert "blocks, student" not in page


def test_pictures_that_are_gone_are_said_and_those_that_ship_are_shown(
    make_bundle, evidence
) -> None:
    folder = make_bundle("n4", verify=measured(evidence, "gone/away"))
    page = stage.report(folder, folder.parent).read_text(encoding="utf-8")
    assert "Name the folder of the pictures that verify measured on" in page
    assert "differs most from the ground truth" in page
    assert source_of(None) == Source(judges.PHOTOGRAPHS, judges.photographs())


def test_a_bundle_without_a_model_has_no_gallery(make_bundle) -> None:
    folder = make_bundle("n4", model=False)
    assert gallery.gallery(bundles.read(folder), None) is None
    assert "Gallery" not in stage.report(folder, folder.parent).read_text(encoding="utf-8")


def test_the_square_lies_where_student_and_teacher_differ_on_the_grid_of_lr_pixels() -> None:
    hr = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)

    def student(lr: np.ndarray) -> np.ndarray:
        sr = nearest(lr)
        sr[110:130, 230:250] ^= 255
        return sr

    methods = {
        "bicubic": Method(4, nearest),
        "teacher": Method(4, nearest),
        "student": Method(4, student),
    }
    found = shot("x", hr, methods, "student")
    assert (found.left % 4, found.top % 4, found.side) == (0, 0, 96)
    assert found.left <= 230 < 250 <= found.left + 96
    assert found.top <= 110 < 130 <= found.top + 96
    assert list(found.scores) == ["bicubic", "teacher", "student"]
    data = base64.b64decode(found.pictures[-1].uri.partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(
        pixels, hr[found.top : found.top + 96, found.left : found.left + 96]
    )


def test_without_a_teacher_the_square_lies_where_the_truth_is_furthest() -> None:
    hr = np.full((128, 256, 3), 90, np.uint8)
    hr[60:64, 220:224] = 255
    found = shot("x", hr, {"bicubic": Method(4, nearest), "teacher": Method(4, nearest)}, "teacher")
    assert found.left <= 220 < 224 <= found.left + 96


def test_a_small_picture_is_its_own_crop_and_a_flat_one_gains_nothing() -> None:
    found = shot(
        "x",
        np.zeros((41, 60, 3), np.uint8),
        {"bicubic": Method(4, nearest), "student": Method(4, nearest)},
        "student",
    )
    assert (found.left, found.top, found.side) == (0, 0, 40)
    assert found.gain_db == 0


def taught_by(facts: dict[str, Any], digest: str) -> dict[str, Any]:
    """A run.json of a student of the model file with that sum."""
    return facts | {"teacher": {"name": "taught", "sha256": digest, "architecture": "CRAFT"}}


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A teacher's model file."""
    path = tmp_path / "taught.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    return path


def test_a_teacher_is_its_bundle_or_the_very_file_that_taught(
    make_bundle, run_facts, taught: Path, tmp_path: Path
) -> None:
    run = taught_by(run_facts("n4"), sha256(taught))
    student = bundles.read(make_bundle("n4", run=run))
    workspace = Workspace(tmp_path)
    assert teacher_file(student, None, taught, workspace) == taught
    assert teacher_file(student, None, None, workspace) is None
    other = bundles.read(make_bundle("other", run=taught_by(run, "0" * 64)))
    with pytest.raises(ModelError, match="is not the file that taught other"):
        teacher_file(other, None, taught, workspace)
    teacher = bundles.read(make_bundle("teacher", "teacher"))
    assert teacher_file(student, teacher, None, workspace) == teacher.folder
    assert teacher_file(teacher, None, None, workspace) is None


@pytest.mark.parametrize("place", ["recipes/n4.toml", "runs/n4/recipe.toml"])
@pytest.mark.parametrize("is_it", [True, False])
def test_a_teacher_whose_file_the_users_own_recipe_names_is_at_hand(
    make_bundle, run_facts, taught: Path, tmp_path: Path, place: str, is_it: bool
) -> None:
    """A foreign teacher has no bundle; its picture was missing although its file was there."""
    run = taught_by(run_facts("n4"), sha256(taught) if is_it else "0" * 64)
    student = bundles.read(make_bundle("n4", run=run))
    text = f'name = "n4"\n[model]\narch = "edge"\n[teacher]\npath = "{taught}"\n'
    write_text(tmp_path / place, text)
    found = teacher_file(student, None, None, Workspace(tmp_path))
    assert found == (taught if is_it else None)


def test_the_photograph_that_the_page_shows_whole_is_not_shown_again(make_bundle) -> None:
    found = gallery.gallery(bundles.read(make_bundle("n4")), None)
    assert found.of == 6
    assert "astronaut" not in [shot.photo for shot in found.shots]


def test_a_foreign_teacher_whose_file_is_named_is_shown(
    make_bundle, card, run_facts, taught: Path
) -> None:
    facts = card("n4", "student")
    facts["teacher"]["spec"] = None
    folder = make_bundle("n4", card=facts, run=taught_by(run_facts("n4"), sha256(taught)))
    page = stage.report(folder, folder.parent, teacher=taught).read_text(encoding="utf-8")
    assert "is not at hand" not in page
    assert "differs most from its teacher" in page


def test_a_blend_is_not_called_trained(make_bundle, run_facts) -> None:
    of = [{"name": name, "sha256": 64 * "0"} for name in ("a", "b")]
    run = run_facts("n4") | {"blend": {"alpha": 0.25, "of": of, "batch_norm": None}}
    folder = make_bundle("n4", run=run, model=False)
    page = stage.report(folder, folder.parent).read_text(encoding="utf-8")
    assert "Not trained but interpolated: 0.750 × a + 0.250 × b." in page


def test_a_folder_without_pictures_is_an_error(make_bundle, evidence, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = make_bundle("n4", verify=measured(evidence, "gone"))
    with pytest.raises(EdgesrError, match="no image"):
        stage.report(folder, folder.parent, data=tmp_path / "empty")
    assert json.loads((folder / "verify.json").read_text())["quality"]
