"""What the evidence says of the processor: the extensions that decide how a network runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesr import machine

X86 = "processor : 0\nmodel name : Example @ 2 GHz\nflags : fpu avx avx2 fma avx512f avx_vnni\n" * 2
ARM = "processor : 0\nFeatures : fp asimd asimddp crc32 i8mm\nCPU part : 0xd0c\n"


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "CPUINFO", path)
    return path


@pytest.mark.parametrize(
    ("text", "found"),
    [(X86, ["avx2", "avx512f", "avx_vnni"]), (ARM, ["asimd", "dotprod", "i8mm"]), ("x", None)],
)
def test_extensions_are_told_by_their_usual_names(
    text: str, found: list[str] | None, cpuinfo: Path
) -> None:
    cpuinfo.write_text(text)
    assert machine.isa() == found
    assert machine.machine()["isa"] == found


def test_where_the_system_does_not_tell_nothing_is_claimed(cpuinfo: Path) -> None:
    assert not cpuinfo.exists()
    assert machine.isa() is None
    assert machine.cpu_name()
