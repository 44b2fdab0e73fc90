"""Candidates on the bench: exported as they would ship, with random weights, and timed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from edgesr import console
from edgesr.deploy.export import export_onnx
from edgesr.fit.budget import Latency
from edgesr.fit.candidates import Candidate
from edgesr.inference.session import Provider
from edgesr.models import zoo
from edgesr.recipe import Export, Verify
from edgesr.verify.providers import placements
from edgesr.verify.speed import speed
from edgesr.verify.turns import Timed, in_turn

PROCESSES = 3


@dataclass
class Bench:
    """Where candidates are timed.

    Attributes:
        folder: for their files.
        provider: that runs them; proved on the first one.
        size: the LR input, "WIDTHxHEIGHT" in pixels.
        threads: of the CPU.
        patience: seconds; a file whose first run takes longer is not run again in turn.
    """

    folder: Path
    provider: Provider
    size: str
    threads: int
    patience: float = math.inf
    _files: dict[Candidate, Path] = field(default_factory=dict)

    def together(self, candidates: list[Candidate]) -> dict[Candidate, Latency]:
        """Time candidates that take turns.

        Raises:
            VerifyError: the provider is not there, or does not run every computing node.
        """
        files = [self.file(c) for c in console.track(candidates, "export", len(candidates))]
        console.say(f"timing {len(candidates)} networks in turn")
        timed = [Timed(file, self.provider) for file in files]
        taken = in_turn(timed, size=self.size, threads=self.threads, patience=self.patience)
        return {
            candidate: Latency(row["p50_ms"], row["p95_ms"])
            for candidate, row in zip(candidates, taken.rows, strict=True)
        }

    def alone(self, candidate: Candidate) -> Latency:
        """Time one candidate as `edgesr verify` does, the worst of `PROCESSES` processes."""
        rows = [
            speed(
                self.provider,
                self.file(candidate),
                sizes=[self.size],
                threads=self.threads,
                runs=Verify().runs,
            )
            for _ in range(PROCESSES)
        ]
        worst = Latency(max(row["p50_ms"] for row in rows), max(row["p95_ms"] for row in rows))
        for noise in {row["noisy"] for row in rows} - {""}:
            console.warn(f"{candidate} was timed on a busy machine: {noise}")
        console.say(f"{candidate} alone: p50 {worst.p50_ms:.2f} ms, p95 {worst.p95_ms:.2f} ms")
        return worst

    def file(self, candidate: Candidate) -> Path:
        """The candidate's model file, exported where it is not there yet."""
        if candidate not in self._files:
            path = self.folder / f"{candidate.channels}x{candidate.depth}.onnx"
            export_onnx(zoo.build(candidate.spec), path, Export(), metadata={})
            if not self._files:
                placements({"fp32": path}, [self.provider], self.threads)
            self._files[candidate] = path
        return self._files[candidate]
