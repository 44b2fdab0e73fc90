"""What others wrote reaches the terminal as text: nothing in it is obeyed, nothing is swallowed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

from edgesr import cli, console
from edgesr.cli.options import expanded, path
from edgesr.console import Terminal, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain ünïcode 写真 é.png", "plain ünïcode 写真 é.png"),
        ("a\x1b[2J.png", r"a\x1b[2J.png"),
        ("a\x9b31m.png", r"a\x9b31m.png"),
        ("a\nwarning: all is lost", r"a\nwarning: all is lost"),
        ("a\r\t\x00\x7f", r"a\r\t\x00\x7f"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\u2066b\u2028c", r"a\u2066b\u2028c"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
    ],
    ids=["text", "escape", "c1", "newline", "controls", "bidi", "isolate", "not-utf-8"],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(
    name: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printable(name) == shown
    console.say(name)
    console.warn(name)
    out, err = capsys.readouterr()
    assert (out, err) == (f"{shown}\n", f"warning: {shown}\n")


@pytest.mark.parametrize("name", ["[bold]x.png", "[/x]", ":smile:.png", "[link=a]b[/link]"])
def test_markup_and_emoji_in_a_name_are_printed_as_they_are(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console.say(name)
    console.warn(name)
    view = Table("name", title=name)
    view.add_row(name)
    console.out.print(view)
    out, err = capsys.readouterr()
    assert out.count(name) == 3
    assert name in err


def test_a_table_shows_escapes_and_keeps_the_lines_of_a_cell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = Table("name")
    view.add_row("first\nsecond \x1b[31m\x07")
    console.out.print(view)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert r"second \x1b[31m\x07" in said


@pytest.mark.parametrize("name", ["[bold]x\x1b[2J.png", "[/x]"])
def test_a_bar_shows_a_name_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=True, width=120)
    monkeypatch.setattr(console, "out", terminal)
    with console.bar(name, 2) as bar:
        bar.advance(1, name)
        assert bar.progress is not None
        bar.progress.refresh()
    assert stream.getvalue().count(printable(name)) >= 2
    assert "\x1b[2J" not in stream.getvalue()


def test_a_bar_without_a_terminal_shows_a_name_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.Bar("[/x]\n", 2, every=0).advance(1, "[bold]a\x1b.png")
    assert capsys.readouterr().out.startswith(r"[/x]\n 1/2 [bold]a\x1b.png ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.4, "3 s"),
        (725, "12 min 5 s"),
        (3600, "1 h 0 min"),
        (5_037_766, "58 d 7 h"),
    ],
)
def test_a_span_of_time_reads_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


TRAINING = "loss 0.0123 61 img/s lr 0.0001 27.31 dB (bicubic 26.90)"


def test_a_million_steps_and_weeks_are_readable_at_80_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(console, "out", terminal)
    clock = [0.0]
    with console.bar("pixel stage", 1_000_000, 119_000) as bar:
        assert bar.progress is not None
        bar.progress.get_time = lambda: clock[0]
        for _ in range(1000):
            clock[0] += 5.725
            bar.advance(1, TRAINING)
        bar.progress.refresh()
    assert "120,000/1,000,000" in stream.getvalue()
    assert "58 d 7 h left" in stream.getvalue()
    assert TRAINING in stream.getvalue()


def test_plain_lines_say_a_million_steps_and_the_time_left_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    started = time.monotonic() - 5725
    bar = console.Bar("pixel", 1_000_000, every=0, done=119_999, before=119_000, started=started)
    bar.advance(1, lambda: TRAINING)
    line = capsys.readouterr().out
    assert line.startswith(f"pixel 120,000/1,000,000 {TRAINING} 58 d 7 h left")


def test_a_text_that_is_not_shown_is_not_made() -> None:
    """The loss lies on the GPU; asking for it in every step would wait for each."""

    def text() -> str:
        raise AssertionError

    console.Bar("pixel", 10).advance(1, text)


def test_a_bar_inside_another_shows_both(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(console, "out", Terminal(file=stream, force_terminal=True, width=80))
    with console.bar("outer", 2), console.bar("inner", 3, unit="tiles") as inner:
        inner.advance()
        assert inner.progress is not None
        inner.progress.refresh()
    assert "outer" in stream.getvalue()
    assert "1/3 tiles" in stream.getvalue()


def test_a_terminal_of_ascii_gets_replacements() -> None:
    """Names of pictures are not ASCII in most of the world."""
    code = (
        "from edgesr import console, ending; from rich.table import Table;"
        "v = Table('写真'); v.add_row('écran');"
        "ending.run(lambda: (console.say('写真 é'), console.warn('é'), console.out.print(v)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert done.stdout.isascii()


HOME_PATHS = {
    "evaluate": ["evaluate", "~/m.onnx", "--data=~/set"],
    "upscale": ["upscale", "~/m.onnx", "~/a.png", "-o", "~/b.png"],
    "report": ["report", "~/m.onnx"],
    "check": ["bundle", "check", "~/m.onnx"],
    "verify": ["verify", "~/m.onnx"],
}


@pytest.mark.parametrize("arguments", HOME_PATHS.values(), ids=HOME_PATHS)
def test_a_tilde_that_no_shell_has_seen_is_the_home_folder(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    fault = CliRunner().invoke(cli.app, arguments).exception
    assert f"{tmp_path}/" in str(fault)


def test_a_tilde_of_an_unknown_user_is_a_name() -> None:
    assert path("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    assert expanded("") == ""
