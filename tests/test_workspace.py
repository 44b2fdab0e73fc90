"""Files get there whole or not at all, and the latest run is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesr.errors import EdgesrError
from edgesr.workspace import Workspace, atomic, read_json, sha256, write_json, write_text


def test_an_interrupted_write_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write_half() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"psnr": float("inf")})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(("text", "says"), [("{", "cannot be read"), ("[1]", "no JSON object")])
def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(EdgesrError, match=rf"run\.json.*{says}") as raised:
        read_json(path, "Train it again.")
    assert raised.value.remedy == "Train it again."


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    write_text(tmp_path / "abc", "abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")


def test_without_a_run_the_error_says_how_to_make_one(workspace: Workspace) -> None:
    with pytest.raises(EdgesrError, match="edgesr distill"):
        workspace.find_run()


def test_an_unknown_run_is_answered_with_the_finished_ones(workspace: Workspace) -> None:
    write_json(workspace.run("done") / "run.json", {})
    with pytest.raises(EdgesrError, match="Finished runs: done"):
        workspace.find_run("other")


def test_a_path_goes_before_a_name_and_a_run_before_a_bundle(workspace: Workspace) -> None:
    write_json(workspace.run("n4") / "run.json", {})
    for folder in (workspace.bundle("n4"), workspace.bundle("edge")):
        folder.mkdir(parents=True)
    assert workspace.find_bundle(Path("n4")) == workspace.bundle("n4")
    assert workspace.find_model(Path("n4")) == workspace.run("n4")
    assert workspace.find_model(Path("edge")) == workspace.bundle("edge")
    assert workspace.find_model(workspace.bundle("n4")) == workspace.bundle("n4")
    assert workspace.find_bundle(Path("other")) == Path("other")


def test_a_run_that_is_not_finished_does_not_hide_the_bundle(workspace: Workspace) -> None:
    for folder in (workspace.run("n4"), workspace.bundle("n4")):
        folder.mkdir(parents=True)
    assert workspace.find_model(Path("n4")) == workspace.bundle("n4")


def test_the_latest_run_is_the_one_marked_last(workspace: Workspace) -> None:
    for name in ("one", "two"):
        write_json(workspace.run(name) / "run.json", {})
        workspace.mark_latest(name)
    assert workspace.find_run().name == "two"
    assert workspace.find_run("one").name == "one"


def test_through_a_symbolic_link_the_file_it_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "elsewhere" / "file.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "elsewhere" / "file.txt").read_text() == "new"


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    # The temporary file's name must not be longer than the name that was asked for.
    path = tmp_path / ("x" * 251 + ".txt")
    write_text(path, "text")
    assert path.read_text() == "text"
