"""The report: what a bundle's folder holds, as one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgesr.places import check_writable
from edgesr.quality.scores import protocol
from edgesr.report import bundles, curves, tables
from edgesr.report.bundles import Bundle
from edgesr.report.gallery import Gallery, gallery, teacher_file
from edgesr.report.pictures import Pictures, pictures
from edgesr.report.text import FILTERS
from edgesr.verify import handed_in, sidebyside
from edgesr.verify.cost import REMARK
from edgesr.verify.evidence import evidence_folder, when
from edgesr.verify.providers import SMALL
from edgesr.workspace import Workspace, write_text


def report(
    folder: Path,
    exports: Path,
    *,
    data: Path | None = None,
    teacher: Path | None = None,
    output: Path | None = None,
) -> Path:
    """Write `report.html` into a bundle's folder: tables, curves, pictures, all in one file.

    Nothing is opened that only a received file names: neither pictures nor models.

    Args:
        folder: the bundle. Only its card.json has to be there; of all else that is missing the
            page says so.
        exports: where its teacher's bundle is looked for.
        data: where to look for the pictures that the evidence was measured on, where those are
            not the ones that ship; they are known by their digests.
        teacher: the model file that taught, where that has no bundle.
        output: evidence and report lie in `output/<the bundle's folder>`, see `verify`.

    Raises:
        EdgesrError: no card.json, a file that is damaged, or a model that cannot be run.
    """
    place = evidence_folder(folder, output)
    bundle = bundles.read(folder, place)
    check_writable(place, "the report")
    taught = bundles.teacher_of(bundle, exports)
    taught_by = teacher_file(bundle, taught, teacher, Workspace(exports.parent))
    shots = gallery(bundle, taught_by, data)
    page = render(bundle, taught, _pictures(bundle, taught_by), shots)
    path = place / "report.html"
    write_text(path, page)
    return path


def render(bundle: Bundle, teacher: Bundle | None, shown: Pictures, gallery: Gallery | None) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    template = environment.get_template("report.html.j2")
    files = {"bundle": bundle, "teacher": teacher, "shown": shown, "gallery": gallery}
    return template.render(**files, **_views(bundle, teacher))


def _views(bundle: Bundle, teacher: Bundle | None) -> dict[str, Any]:
    """What the template shows that is not in the files as it stands."""
    verify, log = bundle.verify, bundle.log
    return {
        "verdict": tables.verdict(verify, bundle.stale),
        "gates": tables.gates(verify) if verify else [],
        "figures": tables.figures(verify) if verify else [],
        "rows": tables.comparison(verify, teacher) if verify else [],
        "parts": tables.parts(verify.cost) if verify else [],
        "variants": sidebyside.variants(verify) if verify else [],
        "slower": list(sidebyside.slower(verify)) if verify else [],
        "noisy": sidebyside.noisy(verify) if verify else [],
        "not_measured": sidebyside.not_measured(verify) if verify else [],
        "handed_in": [
            (row, handed_in.p50_of(verify, row), handed_in.off_by(row)) for row in verify.handed_in
        ]
        if verify
        else [],
        "quality": tables.scores(verify) if verify else [],
        "other_machine": _other_machine(bundle, teacher),
        "paper": _beside_paper(bundle),
        "remark": REMARK,
        "small": SMALL,
        "terms": curves.terms(log),
        "charts": [
            (stage, curves.losses(log, stage), curves.validation(log, stage, bundle.label))
            for stage in curves.stages(log)
        ],
        "measured": when(verify) if verify else "",
        "protocol": protocol(bundle.card.scale),
        "scale": bundle.card.scale,
    }


def _beside_paper(bundle: Bundle) -> list[tables.Printed]:
    if bundle.verify is None:
        return []
    card = bundle.card
    return tables.beside_paper(card.architecture, card.role, bundle.verify.cost)


def _other_machine(bundle: Bundle, teacher: Bundle | None) -> bool:
    """Whether the teacher was timed elsewhere, so that its latency is left out."""
    if bundle.verify is None or teacher is None or teacher.verify is None:
        return False
    return not tables.same_machine(bundle.verify, teacher.verify)


def _pictures(bundle: Bundle, teacher: Path | None) -> Pictures:
    models = {"teacher": teacher} if teacher else {}
    models |= {bundle.label: bundle.folder} if bundle.has_model else {}
    return pictures(models, bundle.card.scale)
