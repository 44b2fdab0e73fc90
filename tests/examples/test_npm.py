"""The npm package: what it holds, and that its types are those of the code's users."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "examples/npm"
CONSUMER = """
import * as node from "onnxruntime-node";
import { enlarge, goOnBelow, openModel, readCard, type Picture } from "edgesr";
import { bicubic } from "edgesr/bicubic";
import { Upscaler } from "edgesr/browser";
import { checkGolden, deviceJson, measure, type Device } from "edgesr/golden";
import { serve } from "edgesr/worker";

export async function inNode(read: (name: string) => Promise<Uint8Array>, picture: Picture) {
  const model = await openModel(node, read, "int8", { intraOpNumThreads: 1 });
  const rows = await checkGolden(model, read);
  for await (const tile of enlarge(model, goOnBelow(picture), 256)) tile.data.subarray(tile.x);
  const file = await measure(await readCard(read), "int8", read, rows, model);
  const told: Device = deviceJson(model.card, "a board", "Node", [file]);
  return [told, bicubic(picture, model.scale).data];
}

export async function inAPage(pen: CanvasRenderingContext2D, image: ImageData) {
  const upscaler = new Upscaler(new Worker("worker.mjs", { type: "module" }));
  const { where, rows } = await upscaler.open("model", { provider: "wasm" });
  const signal = AbortSignal.timeout(1000);
  for await (const { data, width, height, x, y } of upscaler.enlarge(image, { signal })) {
    pen.putImageData(new ImageData(data, width, height), x, y);
  }
  return where + rows.filter((row) => !row.passed).map((row) => row.reason ?? row.difference);
}

serve((provider) =>
  provider === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"),
);
"""


def npm(*arguments: str) -> str:
    command = ["npm", *arguments]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_packs_the_modules_their_types_and_the_licence(
    installed: Callable[[str], Path],
) -> None:
    installed("npm")
    (packed,) = json.loads(npm("pack", "--dry-run", "--json"))
    names = {file["path"] for file in packed["files"]}
    modules = {path.name for path in PACKAGE.glob("*.mjs")}
    assert names == {
        *modules,
        *(path.name for path in PACKAGE.glob("*.d.mts")),
        *("package.json", "README.md", "LICENSE"),
    }
    stated = json.loads((PACKAGE / "package.json").read_text())
    assert "dependencies" not in stated
    for target in stated["exports"].values():
        assert Path(target).name in names
        assert Path(target).with_suffix(".d.mts").name in names
    assert (PACKAGE / "LICENSE").read_text() == (PACKAGE.parents[1] / "LICENSE").read_text()


def test_its_types_fit_the_runtimes_that_are_handed_in(
    installed: Callable[[str], Path], tmp_path: Path
) -> None:
    compiler = installed("npm") / "node_modules/typescript/bin/tsc"
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for example, package in (("node", "onnxruntime-node"), ("web", "onnxruntime-web")):
        for name in (package, "onnxruntime-common"):
            link = modules / name
            if not link.exists():
                link.symlink_to(installed(example) / "node_modules" / name)
    (modules / "edgesr").symlink_to(PACKAGE)
    (tmp_path / "consumer.mts").write_text(CONSUMER)
    flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"]
    flags += ["--lib", "es2024,dom,dom.iterable,dom.asynciterable"]
    done = subprocess.run(
        ["node", compiler, *flags, "--preserveSymlinks", "consumer.mts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("example", ["node", "web"])
def test_the_examples_use_it_as_it_lies_here(
    installed: Callable[[str], Path], example: str
) -> None:
    assert (installed(example) / "node_modules/edgesr").resolve() == PACKAGE
