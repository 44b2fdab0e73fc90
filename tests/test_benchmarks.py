"""The benchmarks run for minutes: here it is looked for what they import, and one is run small."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_of_edgesr_is_there(path: Path) -> None:
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("edgesr")
        for alias in node.names
        if not _there(str(node.module), alias.name)
    ]
    assert not missing


def _there(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
        return hasattr(found, name) or bool(importlib.import_module(f"{module}.{name}"))
    except ModuleNotFoundError as error:
        return not str(error.name).startswith("edgesr") and name in _written(module)
    except ImportError:
        return False


def _written(module: str) -> set[str]:
    """What the source of a module defines that is not loaded for lack of an extra's package."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize("name", ["edge-xs", "edge-s-luma"])
def test_variants_takes_bundles_as_they_ship(name: str) -> None:
    """With files of fixed shapes, which the size that is timed would not fit, and of luma."""
    bundle = BENCHMARKS[0].parents[1] / "exports" / name
    script = BENCHMARKS[0].with_name("variants.py")
    words = [sys.executable, script, bundle, "--size", "24x16", "--runs", "1", "--threads", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[2].strip() for line in done.stdout.splitlines() if f"| {name} " in line]
    assert rows == ["fp32", "fp16", "int8", "uint8-io", "int8-uint8-io"]
