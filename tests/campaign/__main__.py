"""Ten minutes of kills, full disks, closed folders and damaged files.

    python -m tests.campaign [--minutes 10] [--seed 0] [--only kills]

Prints what was tried and what failed; ends with 1 where something did. A failure tells its seed or
its moment. It needs Linux. Where a small file system may not be mounted, full disks are a limit on
the size of files.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.campaign.bench import Bench, Tally, prepare
from tests.campaign.disks import disks
from tests.campaign.fuzz import fuzz
from tests.campaign.kills import kills
from tests.campaign.permissions import permissions

PARTS = {"kills": (kills, 0.35), "disks": (disks, 0.3), "permissions": (permissions, 0.45)}
PARTS |= {"fuzz": (fuzz, 1.0)}


def main() -> int:
    """Run the parts, each with its share of the time that is left."""
    requested = _arguments()
    end = time.monotonic() + 60 * requested.minutes
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="edgesr-campaign-") as temporary:
        scratch = Path(temporary)
        scratch.chmod(0o755)
        os.environ["EDGESR_CACHE"] = str(scratch / "cache")
        prepare(scratch / "whole")
        for name, (part, share) in PARTS.items():
            if requested.only in (None, name):
                until = time.monotonic() + (end - time.monotonic()) * (
                    1 if requested.only else share
                )
                bench = Bench(scratch / "whole", random.Random(f"{requested.seed} {name}"), until)
                (scratch / name).mkdir()
                tallies += part(bench, scratch / name)
    return _show(tallies, requested.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=PARTS)
    return parser.parse_args()


def _show(tallies: list[Tally], seed: int) -> int:
    print(f"{'kind':<32} {'cases':>7} {'failed':>7}   seed {seed}")
    for tally in tallies:
        print(f"{tally.kind:<32} {tally.cases:>7} {len(tally.faults):>7}   {tally.skipped}")
    cases, faults = sum(t.cases for t in tallies), [f for t in tallies for f in t.faults]
    print(f"{'all':<32} {cases:>7} {len(faults):>7}")
    for fault in faults[:50]:
        print(f"- {fault}")
    if len(faults) > 50:
        print(f"and {len(faults) - 50} more")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
