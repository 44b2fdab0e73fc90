"""Files that were damaged or made up: recipes, records, weights and pictures.

What is read is used, or refused in one message. Each kind runs in a child: a crash is a failure.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

from tests.campaign.bench import Bench, Tally

HANG = 30
"""Seconds after which a case hangs."""
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 10**12, -(10**30), 1e300, float("nan"), float("inf"), 0.5),
    *("", "x", "../../etc/passwd", "/dev/zero", "a\nb", "\x1b[2J", "\udcff", "x" * 100_000),
    *([], {}, [[]], {"x": {}}, [None], [1] * 5000),
]
TOKENS = [
    *(b"[", b"]", b"=", b'"', b"'''", b"\n", b".", b"{", b"}", b"1e999", b"nan", b"-inf", b"\xff"),
    *(b"9" * 5000, b"[" * 2000, b"\xef\xbb\xbf", b"\x00", b"true", b"1979-05-27", b"0xff"),
    *(b"[small]\n", b"[gan]\n", b"[gates.cpu.int8]\n", b"x" * 70_000),
]

Attempt = Callable[[random.Random, Path], None]


def fuzz(bench: Bench, scratch: Path) -> list[Tally]:
    """Every kind of file, each with its share of the time."""
    kinds: dict[str, Attempt] = {
        "recipes": _recipe,
        "overrides (--set)": _override,
        "card.json": _record("card.json"),
        "golden.json": _record("golden/golden.json"),
        "verify.json": _evidence("verify.json"),
        "run.json": _evidence("run.json"),
        "log.jsonl": _evidence("log.jsonl"),
        "weights (safetensors)": _weights,
        "ONNX files": _onnx,
        "checkpoints": _checkpoint,
        "PNG": _picture("PNG"),
        "JPEG": _picture("JPEG"),
        "WebP": _picture("WebP"),
    }
    _pictures()  # in the parent, for all of its children
    tallies = []
    for number, (name, attempt) in enumerate(kinds.items()):
        part = 1 / (len(kinds) - number)
        tallies.append(_in_child(bench, scratch / f"fuzz-{number}", name, attempt, part))
    return tallies


def _in_child(bench: Bench, folder: Path, name: str, attempt: Attempt, part: float) -> Tally:
    """Run the cases of one kind in a forked child, which tells of each before it begins it."""
    tally, seed = Tally(f"fuzz: {name}"), bench.rng.randrange(2**32)
    bench.copy(folder)
    told = folder.with_suffix(".told")
    pid = os.fork()
    if not pid:
        _cases(bench, folder, told, seed, attempt, part)
    status = os.waitpid(pid, 0)[1]
    lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    tally.cases = len({line["case"] for line in lines})
    tally.faults = [
        f"{name}, seed {line['case']}: {line['fault']}" for line in lines if line["fault"]
    ]
    if code := os.waitstatus_to_exitcode(status):
        tally.faults.append(f"{name}, seed {lines[-1]['case']}: the process ended with {code}")
    return tally


def _cases(
    bench: Bench, folder: Path, told: Path, seed: int, attempt: Attempt, part: float
) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.chdir(folder)
    with told.open("w", encoding="utf-8") as file:
        for number in bench.share(part):
            case = seed + number
            file.write(json.dumps({"case": case, "fault": ""}) + "\n")
            file.flush()
            if fault := _fault(attempt, case, folder):
                file.write(json.dumps({"case": case, "fault": fault}) + "\n")
                file.flush()
    os._exit(0)


def _fault(attempt: Attempt, case: int, folder: Path) -> str:
    """What is wrong with one case; nothing where it is used or refused in a message."""
    from edgesr.errors import EdgesrError
    from edgesr.refusals import as_refusal

    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(HANG)
    began = time.monotonic()
    try:
        attempt(random.Random(case), folder)
    except EdgesrError as error:
        if len(str(error)) > 20_000:
            return f"a message of {len(str(error))} characters"
    except Exception as error:
        refused = as_refusal(error) if isinstance(error, MemoryError | RecursionError) else None
        if refused is None:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:160]} ({place.filename}:{place.lineno})"
    finally:
        signal.alarm(0)
    taken = time.monotonic() - began
    return f"took {taken:.0f} s" if taken > HANG else ""


def _hangs(*_: object) -> None:
    raise TimeoutError(f"not done after {HANG} s")


def damaged(rng: random.Random, content: bytes, tokens: list[bytes] = TOKENS) -> bytes:
    """`content` with a few bytes flipped, cut out, doubled, or tokens put in."""
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        change = rng.randrange(5)
        if change == 0 and at < len(content):
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif change == 1:
            content = content[:at] + rng.choice(tokens) + content[at:]
        elif change == 2:
            content = content[:at]
        elif change == 3:
            content = content[:at] + content[to:]
        else:
            content = content[:to] + content[at:]
    return content


def altered(rng: random.Random, value: Any) -> Any:
    """A JSON value in which one place, however deep, is another or gone."""
    if rng.random() < 0.25 or not isinstance(value, dict | list) or not value:
        return rng.choice(VALUES)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        new = [altered(rng, value[at])] if rng.random() < 0.9 else []
        return [*value[:at], *new, *value[at + 1 :]]
    key = rng.choice(list(value))
    if rng.random() < 0.1:
        return {k: v for k, v in value.items() if k != key}
    return value | {key: altered(rng, value[key])}


def _recipe(rng: random.Random, folder: Path) -> None:
    from edgesr.recipe import io as recipe_io

    path = folder / "fuzzed.toml"
    path.write_bytes(damaged(rng, (folder / "recipe.toml").read_bytes()))
    recipe_io.dumps(recipe_io.load(path, small=rng.random() < 0.1))


def _override(rng: random.Random, folder: Path) -> None:
    from edgesr.recipe import io as recipe_io

    text = rng.choice(["training.steps=3", "gates.cpu.int8.p95_ms=1", "verify.shapes=['8x8']"])
    changed = damaged(rng, text.encode()).decode("utf-8", "surrogateescape")
    recipe_io.load(folder / "recipe.toml", overrides=[changed])


def _record(name: str) -> Attempt:
    """A record of the bundle that its sums cover; they are made anew, as an attacker would."""

    def attempt(rng: random.Random, folder: Path) -> None:
        from edgesr.bundle.check import check
        from edgesr.bundle.checksums import write_checksums

        bundle = _changed(rng, folder, name)
        write_checksums(bundle)
        check(bundle)

    return attempt


def _evidence(name: str) -> Attempt:
    """A record that the report shows; its pictures, which take seconds, are made once."""

    def attempt(rng: random.Random, folder: Path) -> None:
        from edgesr.bundle.checksums import digest, write_checksums
        from edgesr.report.stage import report

        bundle, verified = _changed(rng, folder, name), digest(folder / "exports/tiny")
        (bundle / "model.onnx").unlink()
        write_checksums(bundle)
        evidence = (bundle / "verify.json").read_bytes()  # names the bundle, else it is stale
        named = evidence.replace(verified.encode(), digest(bundle).encode())
        (bundle / "verify.json").write_bytes(named)
        with (
            patch("edgesr.report.stage.gallery", return_value=None),
            patch("edgesr.report.stage.pictures", side_effect=lambda *_: _pictures()),
        ):
            report(bundle, folder / "exports")

    return attempt


@cache
def _pictures() -> Any:
    from edgesr.report.pictures import pictures

    return pictures({}, 4)


def _changed(rng: random.Random, folder: Path, name: str) -> Path:
    """The folder of a bundle one of whose records is altered, or damaged."""
    bundle = folder / "exports/fuzzed"
    shutil.rmtree(bundle, ignore_errors=True)
    shutil.copytree(folder / "exports/tiny", bundle)
    path = bundle / name
    text = path.read_text(encoding="utf-8")
    if rng.random() < 0.2:
        path.write_bytes(damaged(rng, text.encode()))
    else:
        lines = text.splitlines() if name.endswith(".jsonl") else [text]
        at = rng.randrange(len(lines))
        lines[at] = json.dumps(altered(rng, json.loads(lines[at])))
        path.write_text("\n".join(lines), encoding="utf-8")
    return bundle


def _weights(rng: random.Random, folder: Path) -> None:
    from edgesr.models import zoo

    content = (folder / "runs/tiny/model.safetensors").read_bytes()
    head = 8 + int.from_bytes(content[:8], "little")
    path = folder / "fuzzed.safetensors"
    path.write_bytes(damaged(rng, content[:head]) + content[head:])
    zoo.load(path)


def _onnx(rng: random.Random, folder: Path) -> None:
    from edgesr.quality.evaluate import upscaler_for

    path = folder / "fuzzed.onnx"
    path.write_bytes(damaged(rng, (folder / "exports/tiny/model.onnx").read_bytes()))
    upscaler_for(path)


def _checkpoint(rng: random.Random, folder: Path) -> None:
    from edgesr.recipe import io as recipe_io
    from edgesr.training.state import read_checkpoint

    path = folder / "fuzzed/last.pt"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damaged(rng, (folder / "runs/tiny/checkpoints/last.pt").read_bytes()))
    read_checkpoint(path, recipe_io.load(folder / "recipe.toml"))


def _picture(kind: str) -> Attempt:
    def attempt(rng: random.Random, folder: Path) -> None:
        from edgesr.data import photos

        path = folder / f"fuzzed.{kind.lower()}"
        if not (whole := folder / f"whole.{kind.lower()}").exists():
            with Image.open(folder / "photographs/0.png") as picture:
                picture.save(whole, kind)
        path.write_bytes(damaged(rng, whole.read_bytes()))
        photos.decode(path)

    return attempt
