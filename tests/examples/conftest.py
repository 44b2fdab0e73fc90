"""What the tests of the examples share: npm's packages, the page's server, a headless Chromium."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from spandrel.architectures.RCAN.__arch.rcan_arch import RCAN
from spandrel.architectures.SAFMN.__arch.safmn import SAFMN
from torch import nn

from edgesr import Upscaler
from edgesr.deploy.foreign import export_file
from edgesr.deploy.stage import write_bundle
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Fp16, Recipe
from edgesr.workspace import Workspace

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 120  # seconds that the page may take for one step


@pytest.fixture(scope="session")
def installed() -> Callable[[str], Path]:
    """The folder of an example, with the npm packages that its package.json names."""
    return _installed


def _installed(name: str) -> Path:
    folder = EXAMPLES / name
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm")
    stated = json.loads((folder / "package.json").read_text())
    wanted = stated.get("dependencies", {}) | stated.get("devDependencies", {})
    if any(_version(folder, package) != version for package, version in wanted.items()):
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-save"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"npm install in examples/{name} failed: {done.stderr.strip()[-400:]}")
    return folder


def _version(folder: Path, package: str) -> str | None:
    """As package.json states it; of a folder that is linked, where it lies."""
    link = folder / "node_modules" / package
    if link.is_symlink():
        return f"file:{link.readlink().as_posix().removeprefix('../')}"
    path = link / "package.json"
    return json.loads(path.read_text())["version"] if path.is_file() else None


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle of two variants, one of floats and one of bytes; not to be written to."""
    return _make(Workspace(tmp_path_factory.mktemp("examples")), "uint8-io")


@pytest.fixture(scope="session")
def half_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose second variant takes and gives float16; not to be written to."""
    return _make(Workspace(tmp_path_factory.mktemp("half")), "fp16")


@pytest.fixture(scope="session")
def windowed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose every variant also takes windows of 20 x 14 alone; not to be written to."""
    return _make(Workspace(tmp_path_factory.mktemp("windowed")), "uint8-io", "20x14")


def _make(workspace: Workspace, variant: str, *windows: str) -> Path:
    torch.manual_seed(0)
    path = workspace.root / "model.safetensors"
    spec = Edge(channels=4, depth=1)
    zoo.save(zoo.build(spec), path, licence="MIT")
    return write_bundle(
        zoo.load(path),
        Recipe(
            name="tiny", model=spec, export=Export(fp16=Fp16(io="float16"), fixed=list(windows))
        ),
        workspace,
        role="student",
        teacher=None,
        extras=[],
        variants=(variant,),
    )


@pytest.fixture(scope="session")
def gridded_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of another project's network, x2, that takes multiples of 8; not to be written to."""
    return _foreign(
        tmp_path_factory.mktemp("gridded"), SAFMN(dim=8, n_blocks=1, upscaling_factor=2)
    )


@pytest.fixture(scope="session")
def pooling_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of another project's network, x2, that sees the whole picture; not to be written to."""
    network = RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=8, reduction=4)
    return _foreign(tmp_path_factory.mktemp("pooling"), network)


def _foreign(folder: Path, network: nn.Module) -> Path:
    path = folder / "theirs.pth"
    torch.save(network.state_dict(), path)
    return export_file(path, Workspace(folder), ("uint8-io",), name="theirs", licence="MIT")


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """A PNG of an opaque white disc with a soft edge on transparent black."""
    big = Image.new("L", (160, 160))
    ImageDraw.Draw(big).ellipse((20, 20, 140, 140), fill=255)
    alpha = big.resize((40, 40), Image.Resampling.BOX)
    image = Image.merge("RGBA", [alpha.point(lambda level: 255 * (level > 0))] * 3 + [alpha])
    image.save(tmp_path / "disc.png")
    return tmp_path / "disc.png"


@pytest.fixture(scope="session")
def shipped() -> Path:
    """A bundle that ships: white is white to a trained network alone."""
    return EXAMPLES.parent / "exports/edge-xs"


@pytest.fixture
def check_disc(disc: Path, shipped: Path) -> Callable[[Path], None]:
    """An enlarged `disc` is white on white, with the alpha that its format can hold."""

    def check(path: Path) -> None:
        with Image.open(path) as big, Image.open(disc) as small:
            assert big.mode == ("RGB" if path.suffix == ".jpg" else "RGBA")
            ground = Image.new("RGBA", big.size, "white")
            seen = Image.alpha_composite(ground, big.convert("RGBA")).convert("RGB")
            assert np.asarray(seen).min() >= 250
            if path.suffix == ".png":
                check_alike(np.asarray(big), np.asarray(Upscaler(shipped, threads=1)(small)))
            if path.suffix == ".jpg":
                layers = big.layer  # type: ignore[attr-defined]
                assert [layer[1:3] for layer in layers] == [(1, 1)] * 3

    return check


def check_alike(rgba: np.ndarray, expected: np.ndarray) -> None:
    """Colours are equal but for a level, and alpha, by another bicubic, nearly so."""

    def centre(alpha: np.ndarray) -> np.ndarray:
        return (np.stack(np.indices(alpha.shape)) * alpha).sum(axis=(1, 2)) / alpha.sum()

    off = np.abs(rgba.astype(int) - expected)
    assert off[..., :3].max() <= 1
    assert off[..., 3].mean() < 1
    assert np.abs(centre(rgba[..., 3]) - centre(expected[..., 3])).max() < 0.1


class Browser:
    """A page in headless Chromium, driven over its DevTools pipe: no port, no further package."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.said: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._requests.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._answers], [], [], PATIENCE)[0]:
                raise TimeoutError(f"Chromium has not answered for {PATIENCE} s")
            piece = self._answers.read(1 << 20)
            if not piece:
                raise RuntimeError("Chromium ended")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, answer: dict[str, Any]) -> None:
        """Keep what the page logs: errors of the page's own, and of its security policy."""
        if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.said.append(json.dumps(answer["params"]))

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        done = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in done:
            raise RuntimeError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until `expression` is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                words = self.evaluate("document.body?.innerText")
                raise TimeoutError(f"{expression} after {PATIENCE} s; {self.said}; {words}")
            time.sleep(0.05)

    def choose(self, selector: str, file: Path) -> None:
        """Set the file of an <input type=file>."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])


@pytest.fixture
def open_browser(tmp_path: Path) -> Callable[..., AbstractContextManager[Browser]]:
    """Start headless Chromium, with further flags."""
    return partial(start_browser, tmp_path / "profile")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """Headless Chromium with a profile of its own."""
    with start_browser(tmp_path / "profile") as opened:
        yield opened


@contextmanager
def start_browser(profile: Path, *flags: str) -> Iterator[Browser]:
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None or sys.platform == "win32":
        pytest.skip("needs Chromium or Chrome on Linux or macOS")
    command = [
        *(binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--remote-debugging-pipe", f"--user-data-dir={profile}", *flags),
    ]
    theirs_in, requests = os.pipe()
    answers, theirs_out = os.pipe()
    # Chromium reads commands from descriptor 3 and answers on 4.
    place = "import os, sys; i, o, *c = sys.argv[1:]; os.dup2(int(i), 3); os.dup2(int(o), 4)"
    script = f"{place}; os.execvp(c[0], c)"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(theirs_in), str(theirs_out), *command],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    with os.fdopen(requests, "wb", buffering=0) as to, os.fdopen(answers, "rb", buffering=0) as of:
        try:
            yield Browser(to, of)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def serve() -> Iterator[Callable[[Path, Path], str]]:
    """Start a page's own serve.py on a bundle; returns its address."""
    running: list[subprocess.Popen[str]] = []

    def start(page: Path, bundle: Path) -> str:
        process = subprocess.Popen(
            [sys.executable, str(page / "serve.py"), str(bundle), "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in running:
        process.terminate()
        process.communicate()
