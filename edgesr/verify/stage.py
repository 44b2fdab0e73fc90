"""verify(): a bundle in, the evidence out: verify.json and junit.xml, beside it or elsewhere.

checksums -> provider proof -> parity -> speed -> cost -> quality -> gates
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgesr.bundle import card as bundle_cards
from edgesr.bundle.card import read_card
from edgesr.bundle.checksums import EVIDENCE, check_checksums, digest
from edgesr.bundle.records.base import told
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.evidence import FORMAT, Evidence, Measurements
from edgesr.deploy.others import prove
from edgesr.errors import BundleError, ExportError, VerifyError
from edgesr.folders import locked
from edgesr.places import check_writable
from edgesr.recipe import Edge, Srgan
from edgesr.recipe import io as recipe_io
from edgesr.verify import cost, gates, resume
from edgesr.verify import providers as proof
from edgesr.verify.evidence import counting, evidence_folder
from edgesr.verify.graph_cost import graph_cost
from edgesr.verify.jobs import plan
from edgesr.verify.junit import junit
from edgesr.verify.measure import Subject, measure
from edgesr.verify.request import Request, lpips
from edgesr.verify.resume import Measured
from edgesr.verify.targets import check_bundle
from edgesr.workspace import write_text


def bundles(exports: Path) -> list[Path]:
    """Every bundle's folder in `exports`.

    Raises:
        VerifyError: there is none.
    """
    found = bundle_cards.bundles(exports)
    if not found:
        raise VerifyError(f"no bundle in {exports}", "Make one: edgesr export")
    return found


def verify(
    folder: Path,
    *,
    providers: list[str] | None = None,
    runtimes: list[str] | None = None,
    data: Path | None = None,
    targets: list[str] | None = None,
    output: Path | None = None,
    quick: bool = False,
) -> Evidence:
    """Measure a bundle and check its recipe's gates.

    The bundle itself is not changed: the evidence names its digest. Earlier evidence in the same
    place is removed first, so that nothing stands for a verification that was broken off; what
    devices handed in is kept. What that one had measured is gone on from, where it is of the same
    bundle, machine, versions and settings.

    Args:
        folder: the bundle.
        providers: "cpu", "cuda"; what is asked for must really run. None: CPU, and CUDA where it
            works.
        runtimes: "openvino", "ncnn", "web", "litert", "executorch", measured beside
            ONNX Runtime; see `runtimes`.
        data: HR photographs to measure quality on; the pictures that ship unless given, see
            `data.judges`.
        targets: delegates to check each variant against by their documentation, see
            `verify.targets`; none unless given.
        output: the evidence goes into `output/<the bundle's folder>`; beside the bundle's files
            unless given.
        quick: nothing is timed. The evidence says so, and is written only where `output` is given
            and no full evidence of the bundle is there.

    Returns:
        The evidence, which is also written to verify.json and junit.xml; "passed" says whether all
        gates hold.

    Raises:
        VerifyError: the bundle is not what its card says, or cannot be run as requested, or was
            replaced meanwhile; nothing is written then.
        MachineError: the evidence cannot be written.
    """
    request = Request.of(
        providers=providers, runtimes=runtimes, data=data, targets=targets, quick=quick
    )
    return run(folder, request, output)


def run(folder: Path, request: Request, output: Path | None = None) -> Evidence:
    """`verify`, of what was asked for."""
    folder = folder.resolve()
    if not (folder / "card.json").exists():
        read_card(folder)  # says that it is not a bundle, before anything is removed
    if request.quick and output is None:
        return _evidence(folder, request, None)
    place = evidence_folder(folder, output)
    check_writable(place, f"the evidence of {folder.name} (elsewhere: --output DIR)")
    with locked(place, f"edgesr verify {folder.name}"):
        if request.quick:
            _refuse_full(folder, place)
        earlier = counting(folder, place)
        for name in EVIDENCE:
            (place / name).unlink(missing_ok=True)
        evidence = _evidence(folder, request, None if request.quick else place)
        if earlier and earlier.handed_in:
            evidence = evidence.model_copy(update={"handed_in": earlier.handed_in})
        evidence.write(place / "verify.json")
        write_text(place / "junit.xml", junit(evidence))
        resume.discard(place)
    return evidence


def _refuse_full(folder: Path, place: Path) -> None:
    """Raise VerifyError where full evidence of the bundle would be lost."""
    found = counting(folder, place)
    if found and not found.quick:
        raise VerifyError(
            f"{place} holds evidence with latencies, which --quick does not replace",
            "Name another folder: --output DIR.",
        )


def _evidence(folder: Path, request: Request, place: Path | None) -> Evidence:
    """What is measured of the bundle, and judged, where it is the same from beginning to end.

    Args:
        place: beside it what is measured is kept as it comes; None keeps nothing.
    """
    found = digest(folder)
    card = read_card(folder)
    recipe = recipe_io.load_any(folder / "recipe.toml")
    looked = check_bundle(folder, card, request.targets, recipe.verify.size)
    files: dict[str, Path] = {n: folder / facts.file for n, facts in card.variants.items()}
    placed = proof.placements(files, request.providers, recipe.verify.threads)
    subject = Subject(folder, card, recipe, request.sets, lpips(recipe), timed=not request.quick)
    try:
        measured = Measurements(
            bundle_sha256=found, targets=looked, **_measure(subject, placed, request, place)
        )
    except ValidationError as error:
        raise VerifyError(f"{folder} gives what cannot be measured: {told(error)}") from None
    check_checksums(folder)
    if digest(folder) != found:
        raise BundleError(
            f"{folder} was replaced while it was verified", "Verify what is there now."
        )
    rows = gates.check(recipe.gates, measured)
    return Evidence(**dict(measured), gates=rows, passed=gates.passed(rows))


def _measure(
    subject: Subject, placed: list[proof.Placement], request: Request, place: Path | None
) -> dict[str, Any]:
    card, recipe = subject.card, subject.recipe
    _prove_others(subject.folder, card, request)
    jobs, refused = plan(
        subject.folder,
        card.variants,
        [*proof.running(placed), *request.runtimes],
        recipe.verify.threads,
        proof.unproved(placed),
        sizes=(card.multiple, card.min_size),
        halo=card.halo,
        others=card.others,
    )
    so_far = request.of_bundle(subject.folder, recipe)
    if place:
        so_far = resume.resumed(place, so_far)
    rows = measure(subject, jobs, so_far, lambda found: _keep(found, place))
    return {
        "format": FORMAT,
        "bundle": card.name,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "settings": so_far.settings,
        "quick": request.quick,
        "architecture": card.architecture,
        "role": card.role,
        "versions": so_far.versions,
        "machine": so_far.machine,
        "file": {"bytes": (subject.folder / "model.onnx").stat().st_size},
        "variants": {name: facts.bytes for name, facts in card.variants.items()},
        "others": {f"{each.runtime}, {each.variant}": each.bytes for each in card.others},
        "providers": [p.as_dict() for p in placed],
        "unsupported": refused,
        "parity": [each.parity for each in rows],
        "speed": [each.speed for each in rows if each.speed],
        "cost": cost.compare(card, _cost(subject), recipe.verify.size),
        "quality": [row for each in rows for row in each.quality],
    }


def _prove_others(folder: Path, card: Card, request: Request) -> None:
    """Hold the files of the runtimes that were asked for against the golden vectors.

    Raises:
        BundleError: one gives something else.
    """
    for each in card.others:
        if each.runtime in request.runtimes:
            try:
                prove(folder / each.file, each, folder, card.scale)
            except ExportError as error:
                raise BundleError(error.message, "Export the bundle again.") from None


def _cost(subject: Subject) -> dict[str, cost.Cost]:
    """Of the network by its parts, or, where edgesr does not know these, of its file by
    operators."""
    spec, recipe = subject.card.spec, subject.recipe
    if not isinstance(spec, Srgan | Edge):
        return graph_cost(subject.folder / "model.onnx", recipe.verify.size)
    collapsed = recipe.export.rewrites.collapse_branches
    return cost.cost(spec, recipe.verify.size, collapsed=collapsed)


def _keep(found: Measured, place: Path | None) -> None:
    if place:
        found.write(resume.file_of(place))
