"""Where a command will write is tried before its work begins."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from edgesr.errors import EdgesrError, MachineError
from edgesr.places import check_file, check_writable


def test_a_folder_that_is_not_there_yet_is_tried_where_it_will_be_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "a/b/c", "the run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_what_is_closed_full_or_read_only_is_named_with_the_reason(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(MachineError) as caught:
        check_writable(tmp_path / "out", "the report")
    said = f"the report cannot be written to {tmp_path}/out: {os.strerror(number)} ({tmp_path})"
    assert caught.value.message == said
    assert caught.value.exit_code == 3


def test_a_file_needs_a_suffix_that_is_known_and_a_place_that_is_no_folder(tmp_path: Path) -> None:
    check_file(tmp_path / "scores.JSON", (".json", ".csv"), "--output")
    with pytest.raises(EdgesrError, match=r"--output .*scores.txt: expected .*\.json or \.csv"):
        check_file(tmp_path / "scores.txt", (".json", ".csv"), "--output")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(EdgesrError, match=r"--output .*folder.csv is a folder"):
        check_file(tmp_path / "folder.csv", (".json", ".csv"), "--output")
