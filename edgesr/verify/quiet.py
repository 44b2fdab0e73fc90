"""Was the machine quiet while something was timed? No torch.

Latencies of a machine that does something else are not the model's. Two things are looked at: a
short kernel of fixed work, timed before and after, and how many cores other processes took in
between. The load average is recorded, not judged: it lags, and holds the measuring itself.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil

VARIES = 1.5
"""The slowest reference kernel but one over the fastest, from where on the run is noisy."""
NEEDED = 0.85
"""Of a core that each thread must have had to itself."""
SAMPLES = 5
VALUES, ROUNDS = 1 << 15, 120
"""Of the kernel: 256 kB of doubles, which stay in a core's cache, and how often it reads them."""


@dataclass(frozen=True)
class Surroundings:
    """What else went on while something was timed.

    Attributes:
        reference_ms: the kernel's time, before and after.
        cores: that the process may use.
        cores_taken: by other processes, on average; None where the system does not tell it.
        cpu_share: the process's own CPU time over wall time times threads.
        load_before, load_after: load averages of the last minute; None on Windows.
    """

    threads: int
    reference_ms: list[float]
    cores: int
    cores_taken: float | None
    cpu_share: float
    load_before: float | None
    load_after: float | None

    @property
    def noise(self) -> str:
        """Why latencies that were measured then are not to be judged; empty where it was quiet."""
        fastest, *_, slowest, _ = sorted(self.reference_ms)
        if slowest > VARIES * fastest:
            return (
                f"a fixed kernel took {fastest:.1f} to {slowest:.1f} ms around it, "
                f"{slowest / fastest:.1f} x, at most {VARIES} x is quiet"
            )
        needed = NEEDED * min(self.threads, self.cores)
        if self.cores_taken is not None and self.cores - self.cores_taken < needed:
            return (
                f"other processes took {self.cores_taken:.1f} of {self.cores} cores, "
                f"{self.threads} threads were timed"
            )
        return ""

    def as_dict(self) -> dict[str, Any]:
        """For verify.json, the verdict as "noisy"."""
        return {"noisy": self.noise, "surroundings": asdict(self)}


class Watch:
    """Looks at the machine from now on until `stop`.

    Args:
        threads: of what is timed meanwhile.
    """

    def __init__(self, threads: int) -> None:
        self.threads, self.load = threads, load_average()
        self.wall, self.busy, self.own = time.perf_counter(), busy_seconds(), own_seconds()
        self.reference = reference_ms(threads)

    def stop(self) -> Surroundings:
        """What was seen."""
        reference = [*self.reference, *reference_ms(self.threads)]
        own, wall = own_seconds() - self.own, time.perf_counter() - self.wall
        busy, taken = busy_seconds(), None
        if busy is not None and self.busy is not None:
            taken = max(0.0, busy - self.busy - own) / wall
        return Surroundings(
            threads=self.threads,
            reference_ms=reference,
            cores=len(cores()),
            cores_taken=taken,
            cpu_share=own / wall / self.threads,
            load_before=self.load,
            load_after=load_average(),
        )


def reference_ms(threads: int) -> list[float]:
    """The times of a fixed piece of work, done by each of `threads` threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(_kernel, range(threads)))  # threads are started, caches filled
        return [_timed(pool, threads) for _ in range(SAMPLES)]


def _timed(pool: ThreadPoolExecutor, threads: int) -> float:
    start = time.perf_counter()
    list(pool.map(_kernel, range(threads)))
    return 1e3 * (time.perf_counter() - start)


def _kernel(_: int) -> None:
    """NumPy gives the interpreter's lock back in it, so that threads run side by side."""
    values = np.linspace(1, 2, VALUES)
    for _ in range(ROUNDS):
        np.sqrt(values, out=values)


def cores() -> list[int]:
    """The cores that this process may use, by number."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        return list(process.cpu_affinity())
    return list(range(os.cpu_count() or 1))


def busy_seconds() -> float | None:
    """How long `cores()` have worked, for anyone; None where the system does not tell it."""
    times = psutil.cpu_times(percpu=True)
    mine = [times[core] for core in cores() if core < len(times)]
    if not any(sum(core) for core in mine):
        return None
    # Guests' time is in user's already.
    resting = ("idle", "iowait", "guest", "guest_nice")
    rest = sum(getattr(core, name, 0.0) for core in mine for name in resting)
    return float(sum(map(sum, mine)) - rest)


def own_seconds() -> float:
    """CPU time of this process and of its children, those that have ended too."""
    process = psutil.Process()
    ended = process.cpu_times()
    running = sum(map(_seconds, [process, *process.children(recursive=True)]))
    return float(ended.children_user + ended.children_system + running)


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # it ended just now
        return 0.0
    return float(times.user + times.system)


def load_average() -> float | None:
    """Of the last minute; None where there is none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
