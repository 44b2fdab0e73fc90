"""Several processes that share the batch, on one machine or more: started, and lost."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from edgesr.errors import TrainingError
from edgesr.recipe import Training


def layout(training: Training) -> tuple[int, int]:
    """Devices of this machine, and how many machines there are.

    torchrun says both; without it all devices are here.

    Raises:
        TrainingError: torchrun started another number of processes than `training.devices`.
    """
    if not torch.distributed.is_torchelastic_launched():
        return training.devices, 1
    world, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if world != training.devices or world % here:
        raise TrainingError(
            f"torchrun started {world} processes, {here} of them on this machine; "
            f"training.devices = {training.devices}",
            f"Give --set training.devices={world}, and every machine the same --nproc-per-node.",
        )
    return here, world // here


@contextmanager
def connected(checkpoint: Path) -> Iterator[None]:
    """Tell the loss of another process in words.

    What waits for a process that was killed is told so by gloo at once; for one that hangs, or a
    machine that is gone without a word, after torch's time-out of 30 minutes.

    Raises:
        TrainingError: the connection to another process broke.
    """
    try:
        yield
    except RuntimeError as error:
        # gloo raises no class of its own, NCCL does.
        if not isinstance(error, torch.distributed.DistError) and "gloo" not in str(error):
            raise
        raise TrainingError(
            "another process of this training ended or stopped answering, so this one ends too "
            f"({_reason(error)})",
            f"Its own output says why. Go on with the same command and --resume: {checkpoint}"
            " holds what was saved last, on the machine of the first process.",
        ) from None


def _reason(error: RuntimeError) -> str:
    """The first sentence, without the line of C++ that gloo puts before it."""
    return re.sub(r"^\[\S+\] ", "", str(error)).splitlines()[0].partition(". ")[0]
