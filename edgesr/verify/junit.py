"""The evidence for a CI server: a JUnit file with a test case per gate."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as xml


def junit(evidence: dict[str, Any]) -> str:
    """The gates of `evidence` as JUnit XML."""
    gates = evidence["gates"]
    failures = [gate for gate in gates if not gate["passed"]]
    suite = xml.Element(
        "testsuite",
        name=f"edgesr.{evidence['bundle']}",
        tests=str(len(gates)),
        failures=str(len(failures)),
    )
    for gate in gates:
        name = f"{gate['gate']} ({gate['where']})"
        case = xml.SubElement(suite, "testcase", classname=evidence["bundle"], name=name)
        if not gate["passed"]:
            message = f"measured {gate['measured']}, limit {gate['limit']}"
            xml.SubElement(case, "failure", message=message)
    xml.indent(suite)
    return xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
