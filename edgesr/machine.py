"""What the evidence and the logs say of the machine that made them."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
ISA = {
    **{
        flag: flag
        for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16")
    },
    **{"asimd": "asimd", "asimddp": "dotprod", "i8mm": "i8mm", "bf16": "bf16"},
}
"""Extensions that decide how fast, and with 8 bits how exactly, a network runs: the kernel's name
of each, x86's first, and the usual one."""


def machine() -> dict[str, Any]:
    """The processor's name, its cores and extensions, the system."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "isa": isa(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def isa() -> list[str] | None:
    """Which of `ISA` the processor has; None where the system does not tell it."""
    flags = _cpuinfo("flags") or _cpuinfo("Features")
    if flags is None:
        return None
    return [name for flag, name in ISA.items() if flag in flags.split()]


def cpu_name() -> str:
    """The processor's name where the system tells it, else its architecture."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str | None:
    """What Linux says of the first processor under `key`."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(key)]
    return found[0] if found else None
