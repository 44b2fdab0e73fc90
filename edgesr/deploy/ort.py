"""ONNX Runtime's own format (.ort), which its smallest builds open, and the operators that such a
build needs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from onnxruntime.tools.convert_onnx_models_to_ort import (
    OptimizationStyle,
    convert_onnx_models_to_ort,
)

from edgesr.errors import ExportError
from edgesr.streams import unheard

OPERATORS = "required_operators_and_types.config"
"""What ONNX Runtime's converter calls the list, and its build takes by --include_ops_by_config."""


def to_ort(models: Sequence[Path]) -> tuple[list[bytes], str]:
    """ONNX files, optimised for any processor and written as .ort files, and the list of the
    operators and types that all of them need together.

    Raises:
        ExportError: ONNX Runtime cannot convert one.
    """
    with tempfile.TemporaryDirectory() as taken, tempfile.TemporaryDirectory() as given:
        for model in models:
            shutil.copy(model, taken)
        try:
            with unheard(), redirect_stdout(StringIO()):
                convert_onnx_models_to_ort(
                    Path(taken),
                    Path(given),
                    [OptimizationStyle.Fixed],
                    enable_type_reduction=True,
                )
        except Exception as error:  # a class of ONNX Runtime's own for each way to fail
            raise ExportError(f"ONNX Runtime cannot write its own format: {error}") from None
        files = [(Path(given) / model.with_suffix(".ort").name).read_bytes() for model in models]
        lines = (Path(given) / OPERATORS).read_text(encoding="utf-8").splitlines()
    # The comments name the folder in which the files were.
    return files, "".join(f"{line}\n" for line in lines if not line.startswith("#"))
