"""ONNX Runtime Web: WebAssembly on the CPU, as a browser runs it, under Node.

The npm package onnxruntime-web is looked for in EDGESR_ORT_WEB and in examples/web, and never
downloaded. `web.mjs` is the other end of the pipe.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgesr.errors import Unsupported, VerifyError
from edgesr.runtimes.base import EXACT, Facts, Memory, Tensor

VARIABLE = "EDGESR_ORT_WEB"
PLACES = (Path("examples/web"),)
GRACE = 5.0
"""Seconds that node has to end by itself."""
SCRIPT = Path(__file__).with_name("web.mjs")


class Web:
    """Opens files in a Node process, one for each."""

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise VerifyError(
                "the runtime web was asked for, but there is no node on the path",
                "Install Node 20 or newer.",
            )
        self._command = [node, str(SCRIPT), str(find_package())]

    def open(self, model: Path, *, threads: int, exact: bool = True) -> WebFile:  # noqa: ARG002
        """See `base.Runtime`; WebAssembly computes in float32 in any case.

        Raises:
            Unsupported: ONNX Runtime Web cannot open this file.
        """
        return WebFile([*self._command, str(model), str(threads)], threads)


class WebFile:
    """A file that is open in a Node process."""

    def __init__(self, command: list[str], threads: int) -> None:
        self._threads = threads
        self._node = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._version = self._answer()["version"]
        self._memory = Memory(self._node.pid)
        self._ask({})
        opened = self._answer()
        if "error" in opened:
            raise Unsupported(f"ONNX Runtime Web cannot open it: {opened['error']}")
        self.open_seconds: float = opened["seconds"]

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        self._ask({"dims": lr.shape, "type": str(lr.dtype)}, lr.tobytes())
        answer = self._answer()
        if "error" in answer:
            raise Unsupported(f"ONNX Runtime Web cannot run it: {answer['error']}")
        kind = np.dtype(answer["type"])
        content = self._pipe("stdout").read(kind.itemsize * prod(answer["dims"]))
        return np.frombuffer(content, kind).reshape(answer["dims"]), answer["seconds"]

    def describe(self) -> Facts:
        return Facts(self._version, self._threads, EXACT, "WebAssembly under Node")

    def memory_mb(self) -> float | None:
        return self._memory.grown_mb()

    def close(self) -> None:
        for name in ("stdin", "stdout"):
            with suppress(BrokenPipeError):  # what was still to be written to a node that ended
                self._pipe(name).close()  # node ends where its input does
        try:
            self._node.wait(GRACE)
        except subprocess.TimeoutExpired:  # it is in the middle of a run
            self._node.kill()
            self._node.wait()

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] = getattr(self._node, name)
        return pipe

    def _ask(self, question: dict[str, Any], content: bytes = b"") -> None:
        pipe = self._pipe("stdin")
        try:
            pipe.write(json.dumps(question).encode() + b"\n" + content)
            pipe.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _answer(self) -> dict[str, Any]:
        line = self._pipe("stdout").readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> VerifyError:
        self.close()
        return VerifyError(f"node ended with status {self._node.returncode} in {SCRIPT.name}")


def find_package() -> Path:
    """The folder of the npm package onnxruntime-web.

    Raises:
        VerifyError: it is in none of the places.
    """
    named = os.environ.get(VARIABLE)
    for place in (Path(named),) if named else PLACES:
        package = place / "node_modules/onnxruntime-web"
        if (package / "package.json").is_file():
            return package.resolve()
    looked = named or ", ".join(map(str, PLACES))
    raise VerifyError(
        f"the runtime web was asked for, but {looked} holds no node_modules/onnxruntime-web",
        f"npm install --prefix DIR onnxruntime-web, then set {VARIABLE}=DIR.",
    )
