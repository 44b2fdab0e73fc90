"""How a command ends: exit codes, one message a fault, signals, output that cannot be written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from edgesr.refusals import as_refusal
from edgesr.workspace import write_text

ROOT = Path(__file__).parents[1]


def command(body: str) -> list[str]:
    """A command of edgesr's whose work is `body`; it loads nothing else."""
    work = "".join(f"    {line}\n" for line in body.splitlines())
    head = "import os, signal, sys, tempfile, time\nfrom edgesr import console, ending, errors\n"
    return [sys.executable, "-W", "error", "-c", f"{head}def work():\n{work}\nending.run(work)"]


def end(body: str, **changes: object) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a command."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    environment |= changes.pop("env", {})  # type: ignore[operator]
    done = subprocess.run(
        command(body), capture_output=True, text=True, check=False, env=environment, **changes
    )  # type: ignore[call-overload]
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("console.say('done')", 0, ""),
        ("raise errors.EdgesrError('no such thing', 'Make one.')", 2, "no such thing\nMake one."),
        ("sys.exit(1)", 1, ""),
        ("open('/nowhere/at/all')", 3, "error: /nowhere/at/all: No such file or directory\nLook"),
        ("open('x' * 300)", 3, "File name too long\nGive a shorter name."),
        ("raise MemoryError", 3, "error: there is not enough memory for this\nTake a smaller"),
        ("b'\\xff'.decode()", 3, "error: text that is not UTF-8: 'utf-8' codec can't decode"),
    ],
)
def test_what_the_user_or_the_machine_got_wrong_is_one_message(
    body: str, code: int, said: str
) -> None:
    found, _, err = end(body)
    assert (found, "Traceback" in err) == (code, False)
    assert said in err


def test_what_was_stopped_and_saved_is_no_error() -> None:
    body = "stopped = errors.EdgesrError('stopped at step 3; all is saved', 'Go on.')\n"
    body += "stopped.is_fault, stopped.exit_code = False, 130\nraise stopped"
    assert end(body) == (130, "", "stopped at step 3; all is saved\nGo on.\n")


def test_a_defect_keeps_its_traceback_and_is_told_from_a_gate_that_does_not_hold() -> None:
    code, _, err = end("[][1]")
    assert code == 70
    assert "IndexError" in err
    assert "This is a defect of edgesr. Please report it" in err


def test_a_full_disk_names_the_file_and_not_its_temporary_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_text(tmp_path / "card.json", "{}")
    told = as_refusal(caught.value)
    assert told is not None
    assert told.message == f"No space left on device (while {tmp_path / 'card.json'} was written)"
    assert told.remedy.startswith("Free some space")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
    ],
)
def test_memory_that_a_library_does_not_get_is_told_as_memory(error: Exception) -> None:
    told = as_refusal(error)
    assert told is not None
    assert "not enough memory" in told.message


def test_a_full_disk_is_known_in_the_words_of_safetensors_and_of_torch() -> None:
    for error in (
        SafetensorError("Error while serializing: I/O error: No space left (os error 28)"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
    ):
        told = as_refusal(error)
        assert told is not None
        assert told.remedy == "Free some space, or work on another disk."
    assert as_refusal(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_does_not_stop_the_work_and_is_told(tmp_path: Path) -> None:
    body = f"for i in range(9): console.say('x' * 9999)\nos.mkdir({str(tmp_path / 'done')!r})"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(body), stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
        )
    assert done.returncode == 4
    assert done.stderr == "error: output was lost: No space left on device\n"
    assert (tmp_path / "done").exists()


def test_a_closed_pipe_does_not_stop_the_work_and_only_the_exit_code_tells(tmp_path: Path) -> None:
    body = f"for i in range(99): console.say('x' * 9999)\nos.mkdir({str(tmp_path / 'done')!r})"
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        command(body), stdout=writes, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (4, "")
    assert (tmp_path / "done").exists()


def test_a_terminal_that_knows_ascii_alone_gets_escapes() -> None:
    code, out, _ = end("console.say('320 × 180 \\udcff')", env={"PYTHONIOENCODING": "ascii"})
    assert (code, out) == (0, "320 \\xd7 180 \\xff\n")


def test_a_stdout_that_is_closed_is_no_defect() -> None:
    line = " ".join(f"'{word}'" for word in command('console.say("x")'))
    done = subprocess.run(["sh", "-c", f"{line} >&-"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_removes_temporary_files_and_says_so_by_its_exit_code(
    name: str, tmp_path: Path
) -> None:
    body = f"with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}):\n"
    # Twice: a shell that closes sends SIGHUP so, and what is being tidied up must go on.
    body += f"    try: os.kill(os.getpid(), signal.{name}); time.sleep(9)\n"
    body += f"    finally: os.kill(os.getpid(), signal.{name})"
    code, _, err = end(body)
    assert (code, err) == (128 + getattr(signal, name), f"stopped by {name}\n")
    assert list(tmp_path.iterdir()) == []


def test_what_all_processes_of_a_training_get_wrong_is_told_by_the_first_alone() -> None:
    """torchrun's workers have the same command; it ends the others when the first one ends."""
    body = "raise errors.RecipeError('training.lr = x')"
    code, _, err = end(body, env={"LOCAL_RANK": "0"})
    assert (code, err) == (2, "error: training.lr = x\n")
    other = subprocess.Popen(
        command(body), stderr=subprocess.PIPE, text=True, env=os.environ | {"LOCAL_RANK": "1"}
    )
    with pytest.raises(subprocess.TimeoutExpired):
        other.communicate(timeout=3)
    other.terminate()
    assert other.communicate() == (None, "")


def test_torchrun_finds_the_reason_where_it_looks_for_it(tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    body = "raise errors.RecipeError('training.lr = x', 'Give a number.')"
    end(body, env={"TORCHELASTIC_ERROR_FILE": str(file)})
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file=str(file))
    told = ChildFailedError("edgesr", {0: failure}).format_msg()
    assert "traceback : error: training.lr = x\n  Give a number." in told


def test_a_process_that_is_not_ended_has_a_fault_of_its_own_and_tells_it() -> None:
    body = "ending.PATIENCE = 0.2\nraise errors.MachineError('device 1: no memory')"
    code, _, err = end(body, env={"LOCAL_RANK": "1"})
    assert (code, err) == (3, "error: device 1: no memory\n")


def test_what_nohup_ignores_stays_ignored() -> None:
    body = "os.kill(os.getpid(), signal.SIGHUP)\nconsole.say('went on')"
    done = subprocess.run(["nohup", *command(body)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_a_line_break_in_a_name_cannot_forge_another_message() -> None:
    _, _, err = end("raise errors.EdgesrError('a\\nerror: b is missing', 'See a\\nwarning: c')")
    assert [line.split()[0] for line in err.splitlines() if line[0] != " "] == ["error:", "See"]
