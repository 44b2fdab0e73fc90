"""The page: one file, nothing loaded, everything escaped, and what is missing is said."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgesr.bundle.records.rows import Scores
from edgesr.errors import EdgesrError
from edgesr.report import bundles, stage
from edgesr.report.pictures import Crop, Picture, Pictures
from edgesr.report.text import FILTERS

PIXEL = "data:image/webp;base64,UklGRg=="


class Page(HTMLParser):
    """Collects tags, the text of the page, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.skipped = False
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.skipped = tag in ("style", "script")

    def handle_endtag(self, _: str) -> None:
        self.skipped = False

    def handle_data(self, data: str) -> None:
        if not self.skipped:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def pictures() -> Pictures:
    """Pictures too small to see, so that a page is quick to make."""
    names = ("bicubic", "teacher", "student", "ground truth")
    shown = [Picture(n, PIXEL, None if n == "ground truth" else 27.0) for n in names]
    return Pictures("astronaut", 8, 8, shown, [Crop(0, 0, 4, shown)])


@pytest.fixture
def render(pictures: Pictures):
    """Read a bundle and its teacher's, and give the page."""

    def render(folder: Path) -> Page:
        bundle = bundles.read(folder)
        teacher = bundles.teacher_of(bundle, folder.parent)
        seen = [p for p in pictures.pictures if teacher or p.name != "teacher"]
        return Page(stage.render(bundle, teacher, replace(pictures, pictures=seen), None))

    return render


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, write_bundle) -> Path:
    """The report of a student and its teacher as a user gets it."""
    exports = tmp_path_factory.mktemp("whole") / "exports"
    write_bundle(exports / "teacher", "teacher")
    return stage.report(write_bundle(exports / "n4"), exports)


def test_the_report_is_one_small_file_that_loads_nothing(whole: Path) -> None:
    html = whole.read_text(encoding="utf-8")
    assert whole.stat().st_size < 6e6
    assert {p.suffix for p in whole.parent.iterdir()} == {
        ".html",
        ".json",
        ".jsonl",
        ".toml",
        ".onnx",
        "",
    }
    for tag, attributes in Page(html).tags:
        assert tag not in ("iframe", "object", "embed", "base")
        for key in ("src", "href", "srcset", "xlink:href", "poster", "data"):
            assert (attributes.get(key) or "data:").startswith("data:"), (tag, attributes)
    assert not re.search(r"url\(|@import|https?://", re.sub(r"data:[^\"]*", "", html))
    assert "default-src 'none'" in html


def test_every_version_can_stand_left_and_right(whole: Path) -> None:
    page = Page(whole.read_text(encoding="utf-8"))
    names = ["bicubic", "teacher", "student", "ground truth"]
    assert [i["data-name"] for i in page.all("img") if "data-name" in i] == names
    assert all(image["alt"] for image in page.all("img"))
    assert [s["id"] for s in page.all("select")] == ["left", "right"]
    assert len(page.all("option")) == 8
    (divider,) = [i for i in page.all("input") if i["type"] == "range"]
    assert divider["min"] == "0"
    assert len([i for i in page.all("img") if "data-name" not in i]) == 8 + 6 * 4


def test_every_header_cell_says_what_it_heads(whole: Path) -> None:
    page = Page(whole.read_text(encoding="utf-8"))
    scopes = {header.get("scope") for header in page.all("th")}
    assert scopes == {"row", "col", "rowgroup", "colgroup"}


def test_all_terms_have_a_curve_and_a_switch(render, make_bundle) -> None:
    page = render(make_bundle("n4"))
    terms = {"loss", "l1", "teacher_l1", "frequency", "vgg", "adversarial", "lpips"}
    labels = [svg["aria-label"] or "" for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(labels) == 4
    assert all(
        any(f"{term} from" in label for label in labels) for term in [*terms, "discriminator"]
    )
    switches = {i["class"] for i in page.all("input") if i["type"] == "checkbox"}
    assert switches == {f"t{i}" for i in range(8)}
    lines = [p["class"] or "" for p in page.all("polyline")]
    assert len(lines) == 4 + 6 + 2 * 2
    assert "Pixel stage" in page.text
    assert "GAN stage" in page.text


def test_text_from_files_is_escaped(render, make_bundle, card, evidence) -> None:
    evil = "</style><script>alert(1)</script>"
    changed = card("n4", "student") | {"licence": evil, "architecture": evil}
    verify = evidence("n4", True)
    verify["providers"][1]["message"] = evil
    verify["gates"][0]["where"] = verify["quality"][0]["data"] = evil
    log = [{"stage": evil, "step": 1, evil: 0.5, '"><script>': 0.2}]
    folder = make_bundle("n4", card=changed, verify=verify, log=log, recipe=evil)
    page = render(folder)
    assert len(page.all("script")) == 1
    assert page.text.count(evil) >= 7


def test_an_unverified_bundle_says_so_and_how(render, make_bundle) -> None:
    page = render(make_bundle("n4", verify=None))
    assert "Not verified yet." in page.text
    assert "edgesr verify exports/n4" in page.text
    assert "Parity" not in page.text


def test_a_bare_card_is_enough_for_a_page(make_bundle) -> None:
    parts = dict.fromkeys(("verify", "run", "log", "recipe"))
    folder = make_bundle("n4", **parts, model=False)
    page = Page(stage.report(folder, folder.parent).read_text(encoding="utf-8"))
    for words in (
        "exports/n4/model.onnx is not there",
        "teacher (SRGAN N=16) is not at hand",
        "no log.jsonl",
        "no recipe.toml",
        "no verify.json",
    ):
        assert words in page.text
    assert [i["data-name"] for i in page.all("img") if "data-name" in i] == [
        "bicubic",
        "ground truth",
    ]


def test_a_missing_teacher_bundle_is_said(render, make_bundle) -> None:
    assert "there is no bundle exports/teacher" in render(make_bundle("n4")).text


def test_a_teacher_without_evidence_is_said(render, make_bundle) -> None:
    make_bundle("teacher", "teacher", verify=None)
    assert "exports/teacher has no verify.json" in render(make_bundle("n4")).text


def test_a_foreign_teacher_is_not_asked_for(render, make_bundle, card) -> None:
    changed = card("n4", "student")
    changed["teacher"]["spec"] = None
    page = render(make_bundle("n4", card=changed))
    assert "is a foreign model, which has no bundle" in page.text
    assert "edgesr report n4 --teacher FILE" in page.text


def test_no_remedy_is_offered_that_would_be_refused(render, make_bundle) -> None:
    """Without a run.json no file is known to be the one that taught."""
    text = render(make_bundle("n4", run=None)).text
    assert "teacher (SRGAN N=16) is not at hand." in text
    assert "--teacher" not in text


def test_the_page_says_when_was_measured_where_the_evidence_does(
    render, make_bundle, evidence
) -> None:
    dated = evidence("n4", True) | {"measured_at": "2026-01-31T09:30:05Z"}
    assert "measured on 2026-01-31 09:30 UTC" in render(make_bundle("n4", verify=dated)).text
    undated = render(make_bundle("other")).text
    assert "measured on" not in undated
    assert "an unknown date" in undated


def test_every_picture_has_its_scores_with_lpips_where_that_was_measured(
    render, make_bundle, evidence
) -> None:
    verify = evidence("n4", True)
    row = verify["quality"][0] | {"bicubic_lpips": 0.5}
    score = {key: row[key] for key in Scores.model_fields}
    pictures = [
        score | {"image": name, "width": 64, "height": 64, "sha256": 64 * "0", "lpips": lpips}
        for name, lpips in (("first", 0.111), ("second", 0.317))
    ]
    verify["quality"] = [row | {"pictures": pictures}]
    text = render(make_bundle("n4", verify=verify)).text
    assert "Every picture of astronaut" in text
    assert all(value in text for value in ("0.111", "0.317", "0.214"))


def test_a_loss_that_rounds_to_zero_has_no_sign() -> None:
    assert FILTERS["loss"](-0.0001) == "0.000 dB"
    assert FILTERS["loss"](-0.0123) == "−0.012 dB"
    assert FILTERS["signed"](-0.001) == "0.00 dB"
    assert FILTERS["signed"](-0.01) == "−0.01 dB"


def test_quick_evidence_has_no_latencies_and_the_page_says_so(
    render, make_bundle, evidence
) -> None:
    quick = evidence("n4", True) | {"quick": True, "speed": []}
    page = render(make_bundle("n4", verify=quick))
    assert "nothing was timed" in page.text
    assert "latency p50" not in page.text
    assert "Cold start" not in page.text


def test_a_teachers_own_report_has_no_student(render, make_bundle) -> None:
    page = render(make_bundle("teacher", "teacher"))
    assert "Size and cost" in page.text
    assert "distilled from" not in page.text


def test_gates_that_fail_are_in_the_headline(render, make_bundle, evidence) -> None:
    verify = evidence("n4", True)
    verify["gates"][3]["state"] = "fails"
    verify["passed"] = False
    page = render(make_bundle("n4", verify=verify))
    assert "✗ 1 of 7 gates does not hold: p95_ms." in page.text


def test_no_card_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EdgesrError, match=r"no card\.json(.|\n)*edgesr export"):
        stage.report(tmp_path, tmp_path)


def test_damaged_json_is_an_error_that_names_the_file(make_bundle) -> None:
    folder = make_bundle("n4")
    (folder / "verify.json").write_text('{"format": 1,')
    with pytest.raises(EdgesrError, match=r"verify\.json cannot be used: Invalid JSON"):
        stage.report(folder, folder.parent)


def test_evidence_of_another_version_is_an_error_not_a_traceback(make_bundle) -> None:
    folder = make_bundle("n4", verify={"format": 0}, model=False)
    with pytest.raises(EdgesrError, match=r"verify\.json cannot be used"):
        stage.report(folder, folder.parent)


def test_an_earlier_report_survives_a_failure(make_bundle) -> None:
    folder = make_bundle("n4", verify={"format": 0}, model=False)
    (folder / "report.html").write_text("earlier")
    with pytest.raises(EdgesrError):
        stage.report(folder, folder.parent)
    assert (folder / "report.html").read_text() == "earlier"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_runs_the_slider(whole: Path, tmp_path: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*command, whole.as_uri()], capture_output=True, text=True, timeout=60)
    images = {
        i["data-name"]: i.get("class") for i in Page(done.stdout).all("img") if "data-name" in i
    }
    assert images == {"bicubic": "left", "teacher": "", "student": "right", "ground truth": ""}
    assert 'aria-valuetext="50 % bicubic, 50 % student"' in done.stdout
