"""The evidence for a CI server: a JUnit file with a test case per gate, input and place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as xml

from edgesr.bundle.records.evidence import FAILS, NOT_JUDGED, Evidence, Gate
from edgesr.bundle.records.rows import Input
from edgesr.verify.measured import place, proved_of

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write, not even as references."""


def junit(evidence: Evidence) -> str:
    """`evidence` as JUnit XML.

    A case for each gate, for each input of the parity grid (it fails where it exceeds the gates'
    limits), and a skipped one for each gate that is not judged, each provider that is not
    available, and each file and input that a runtime does not take.
    """
    suite = xml.Element("testsuite", name=f"edgesr.{evidence.bundle}")
    cases = [*_gates(evidence), *_parity(evidence)]
    for name, failure in cases:
        case = xml.SubElement(suite, "testcase", classname=evidence.bundle, name=name)
        if failure:
            xml.SubElement(case, "failure", message=failure)
    missing = list(_missing(evidence))
    for name, reason in missing:
        case = xml.SubElement(suite, "testcase", classname=evidence.bundle, name=name)
        xml.SubElement(case, "skipped", message=reason)
    suite.set("tests", str(len(cases) + len(missing)))
    suite.set("failures", str(sum(bool(failure) for _, failure in cases)))
    suite.set("skipped", str(len(missing)))
    xml.indent(suite)
    for element in suite.iter():
        for key, value in element.attrib.items():
            element.set(key, written(value))
    return xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def written(text: str) -> str:
    """`text` as XML can hold it: what it cannot is written as an escape of Python's."""
    return FORBIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def _gates(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Name and failure of each gate that is judged; the failure is empty where it holds."""
    for row in evidence.gates:
        if row.state != NOT_JUDGED:
            figures = f"measured {row.measured}, limit {row.limit}"
            yield _named(row), (row.reason or figures) if row.state == FAILS else ""


def _named(gate: Gate) -> str:
    return f"{gate.gate} ({gate.where})"


def _parity(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Name and failure of each input of the grid, of each file on each runtime."""
    limits: dict[tuple[str, str], float] = {
        (row.gate, row.where): row.limit
        for row in evidence.gates
        if row.limit is not None and row.state != NOT_JUDGED
    }
    for grid in evidence.parity:
        where = place(grid)
        for case in grid.cases:
            found = {
                "max_abs_diff": case.max_abs_diff,
                "max_pixels_changed": case.changed / case.values,
            }
            faults = [
                f"{gate}: measured {value}, limit {limits[gate, where]}"
                for gate, value in found.items()
                if (gate, where) in limits and not value <= limits[gate, where]
            ]
            yield _input(case, where), "; ".join(faults)


def _missing(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Name and reason of what was not judged or not measured."""
    for row in evidence.gates:
        if row.state == NOT_JUDGED:
            yield _named(row), row.reason
    for placement in evidence.providers:
        if not placement.available:
            yield f"provider {proved_of(placement)}", placement.message
    for refused in evidence.unsupported:
        yield f"{refused.runtime}, {refused.variant}", refused.reason
    for grid in evidence.parity:
        for case in grid.unsupported:
            yield _input(case, place(grid)), case.reason


def _input(case: Input, where: str) -> str:
    size = f"{case.width}x{case.height}, batch {case.batch}"
    return f"parity {case.case} {size} ({where})"
