"""Several processes that share the batch, on one machine or more: started, agreed, and lost."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from edgesr import console
from edgesr.errors import EdgesrError, TrainingError
from edgesr.recipe import Recipe, Training
from edgesr.recipe import io as recipe_io
from edgesr.training.precision import autocast, choose_float32

NAMED = 5
"""Differences that a message names."""
OWN = (
    *("data.photos", "data.sources", "data.lr", "teacher.path", "teacher.pictures"),
    *("training.init", "weights.folder"),
)
"""Keys of a recipe that name places on a machine. What lies there is compared instead."""
LATER = ("export.", "verify.", "gates.")
"""Tables of a recipe that training does not read."""


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


def started(training: Training) -> Fabric:
    """The processes of `training`, connected; this one alone where it asks for one device.

    Raises:
        TrainingError: there is no such device, it does not compute in the recipe's precision, or
            there are not as many processes as the recipe says.
    """
    if training.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            'training.device = "cuda", but no CUDA device works here', "See edgesr doctor."
        )
    device = "cuda" if training.device != "cpu" and torch.cuda.is_available() else "cpu"
    devices, machines = layout(training)
    choose_float32(training.precision)
    # Newer versions of torch have another name for it, older ones only this.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        num_nodes=machines,
        plugins=autocast(training.precision, device),
        # Two passes through the discriminator before one backward must not rewrite its buffers.
        strategy=DDPStrategy(broadcast_buffers=False) if training.devices > 1 else "auto",
    )
    fabric.launch()
    if fabric.local_rank:
        console.mute()
    return fabric


def part(fabric: Fabric) -> None:
    """Wait for all processes, then end their connection before the interpreter ends."""
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()


def recipe_notes(recipe: Recipe) -> dict[str, str]:
    """What every process must have been told: the keys of its recipe that training reads."""
    flat = recipe_io.flat(recipe.model_dump())
    return {
        key: repr(value)
        for key, value in flat.items()
        if key not in OWN and not key.startswith(LATER)
    }


def agree(fabric: Fabric, notes: dict[str, str]) -> None:
    """Compare `notes` with those of the other processes; all of them must ask.

    Raises:
        TrainingError: in every process, where a note of any is missing or another one; names the
            notes and who has what.
    """
    every = _gathered(fabric, notes) if fabric.world_size > 1 else [notes]
    if different := _different(every):
        named = [_who_has_what(key, every) for key in different[:NAMED]]
        if len(different) > NAMED:
            named.append(f"and {len(different) - NAMED} more")
        raise TrainingError(
            f"the processes of this training do not agree: {'; '.join(named)}",
            "Start all of them with the same recipe, options, photographs, teacher and checkpoint.",
        )


def warn_of_drift(fabric: Fabric, weights: str) -> None:
    """Say so where the processes, whose steps are the same, ended with other weights, of which
    `weights` is a digest: processors that round differently drift apart. All of them must ask."""
    every = _gathered(fabric, {"weights": weights}) if fabric.world_size > 1 else []
    if _different(every):
        console.warn(
            "the processes ended with weights that differ, as other processors round otherwise; "
            "those of the first are kept"
        )


def _different(every: list[dict[str, str]]) -> list[str]:
    """The notes that are not the same in all processes."""
    keys = sorted(set().union(*every))
    return [key for key in keys if len({notes.get(key) for notes in every}) > 1]


def _gathered(fabric: Fabric, notes: dict[str, str]) -> list[dict[str, str]]:
    """The notes of every process, by way of padded JSON: nothing is unpickled."""
    text = json.dumps(notes).encode()
    size = torch.tensor(len(text), device=fabric.device)
    longest = int(torch.as_tensor(fabric.all_reduce(size, reduce_op="max")))
    padded = torch.frombuffer(bytearray(text.ljust(longest)), dtype=torch.uint8).to(fabric.device)
    every = [torch.empty_like(padded) for _ in range(fabric.world_size)]
    torch.distributed.all_gather(every, padded)
    return [json.loads(bytes(row.tolist())) for row in every]


def _who_has_what(key: str, every: list[dict[str, str]]) -> str:
    """`key = 1 in process 0, 2 in processes 1 and 2`, values of at most 60 characters."""
    holders: dict[str, list[str]] = defaultdict(list)
    for rank, notes in enumerate(every):
        value = notes.get(key, "absent")
        holders[value if len(value) <= 60 else f"{value[:57]}..."].append(str(rank))
    told = [
        f"{value} in process{'es' if len(ranks) > 1 else ''} {', '.join(ranks)}"
        for value, ranks in holders.items()
    ]
    return f"{key} = {' but '.join(told)}"


@contextmanager
def told_to_all(fabric: Fabric) -> Iterator[None]:
    """A fault that one process has in the block ends all of them; each must enter it.

    Raises:
        EdgesrError: the process's own, or in words that of the first process that has one.
    """
    own: EdgesrError | None = None
    try:
        yield
    except EdgesrError as error:
        own = error
    if fabric.world_size > 1:
        every = _gathered(fabric, {"fault": own.message, "remedy": own.remedy} if own else {})
        for rank, theirs in enumerate(every):
            if theirs and own is None:
                raise TrainingError(f"process {rank}: {theirs['fault']}", theirs["remedy"])
    if own is not None:
        raise own


@contextmanager
def first_alone(fabric: Fabric) -> Iterator[None]:
    """The first process does the block before the others do, however long it takes."""
    if fabric.world_size == 1:
        yield
        return
    group = torch.distributed.new_group(backend="gloo", timeout=timedelta(days=100))
    if not fabric.is_global_zero:
        torch.distributed.barrier(group)  # type: ignore[arg-type]
    try:
        yield
    except BaseException as error:
        # Others find the same fault. A process that ends at once tells them by its connection.
        if fabric.is_global_zero and isinstance(error, EdgesrError):
            torch.distributed.barrier(group)  # type: ignore[arg-type]
        raise
    if fabric.is_global_zero:
        torch.distributed.barrier(group)  # type: ignore[arg-type]
    torch.distributed.destroy_process_group(group)


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
