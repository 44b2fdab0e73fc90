"""A folder is the old one or the new one, whatever ends the process, and nobody else's files go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from edgesr import folders
from edgesr.errors import EdgesrError
from edgesr.folders import GONE, NEW, OLD, discard, locked, replacing, settle

OWNED = ("card.json", "golden/*")


def content(folder: Path) -> str:
    return (folder / "card.json").read_text()


def write(folder: Path, text: str) -> None:
    (folder / "golden").mkdir(parents=True)
    (folder / "card.json").write_text(text)
    (folder / "golden" / "a.rgb").write_bytes(b"abc")


def replace(target: Path, text: str) -> None:
    with locked(target, "test"), replacing(target, OWNED) as new:
        write(new, text)


def left_over(parent: Path) -> list[str]:
    return sorted(p.name for p in parent.iterdir() if p.name.startswith((NEW, OLD, GONE)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "n4"
    write(folder, "old")
    return folder


def test_the_new_folder_takes_the_place_of_the_old_one(target: Path) -> None:
    replace(target, "new")
    assert content(target) == "new"
    assert left_over(target.parent) == []


def test_what_fails_leaves_the_old_folder(target: Path) -> None:
    def fail() -> None:
        with locked(target, "test"), replacing(target, OWNED) as new:
            write(new, "half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert content(target) == "old"
    assert left_over(target.parent) == []


@pytest.mark.parametrize("moment", ["making", "aside", "in"])
def test_a_kill_at_any_moment_leaves_a_whole_folder_after_the_next_command(
    target: Path, moment: str
) -> None:
    # A real SIGKILL: no `finally` runs. Between the two renames the old folder is aside.
    script = f"""
        import os, signal
        from pathlib import Path
        from edgesr import folders
        from tests.test_folders import write
        target, moment = Path({str(target)!r}), {moment!r}
        renames = []
        rename = Path.rename
        def dying(path, to):
            rename(path, to)
            renames.append(path)
            if (moment, len(renames)) in (("aside", 1), ("in", 2)):
                os.kill(os.getpid(), signal.SIGKILL)
        Path.rename = dying
        with folders.locked(target, "test"), folders.replacing(target, {OWNED!r}) as new:
            write(new, "new")
            if moment == "making":
                os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=root, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert left_over(target.parent)
    settle(target.parent)
    assert content(target) == ("new" if moment == "in" else "old")
    assert left_over(target.parent) == []
    replace(target, "next")
    assert content(target) == "next"


def test_a_folder_with_files_of_others_is_neither_replaced_nor_deleted(target: Path) -> None:
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(EdgesrError, match=r"did not write: thesis\.txt"):
        replace(target, "new")
    with pytest.raises(EdgesrError, match=r"thesis\.txt"), locked(target, "test"):
        discard(target, OWNED)
    assert content(target) == "old"
    assert (target / "thesis.txt").exists()


def test_a_link_to_somebodys_folder_inside_is_a_strangers_file(
    target: Path, tmp_path: Path
) -> None:
    (target / "golden" / "link").symlink_to(tmp_path)
    assert folders.strangers(target, ("card.json",)) == ["golden/a.rgb", "golden/link"]


def test_what_file_managers_and_cut_writes_leave_may_go(target: Path) -> None:
    for name in (".DS_Store", "._card.json", "Thumbs.db", ".edgesr-ab12.json"):
        (target / name).touch()
    replace(target, "new")
    assert sorted(p.name for p in target.iterdir()) == ["card.json", "golden"]


def test_a_folder_that_holds_an_input_of_the_command_stays(target: Path) -> None:
    with (
        pytest.raises(EdgesrError, match="which this command reads"),
        locked(target, "test"),
        replacing(target, OWNED, inputs=[target / "card.json"]),
    ):
        pass
    assert content(target) == "old"


def test_a_folder_that_cannot_be_deleted_whole_is_refused_before_the_work(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Modes do not bind root, so the system's answer is played.
    closed = target / "golden"
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != closed)
    with pytest.raises(EdgesrError, match=r"no permission to write into .*golden"):
        replace(target, "new")
    assert content(target) == "old"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_of_its_own_is_not_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "n4"
    if kind == "file":
        target.write_text("somebody's")
    else:
        write(tmp_path / "elsewhere", "old")
        target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EdgesrError, match="not a folder of its own"):
        replace(target, "new")
    assert target.exists()


def test_the_second_comer_is_told_who_holds_the_name(target: Path) -> None:
    script = f"""
        import time
        from pathlib import Path
        from edgesr.folders import locked
        with locked(Path({str(target)!r}), "edgesr distill n4"):
            print("held", flush=True)
            time.sleep(60)
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(EdgesrError, match=rf"`edgesr distill n4`, process {holder.pid} on"):
            replace(target, "new")
        settle(target.parent)  # what is in use is left alone, and no error
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout:
            holder.stdout.close()
    for _ in range(50):  # the system frees the lock of a killed process
        try:
            replace(target, "new")
            break
        except EdgesrError:
            time.sleep(0.1)
    assert content(target) == "new"


def test_a_name_can_be_taken_again_by_the_same_process(target: Path) -> None:
    for text in ("one", "two"):
        replace(target, text)
    assert content(target) == "two"
