"""A CUDA card that is not there: torch's fake tensors, which have a device and a shape alone.

An operator that is given tensors of two devices fails as it does on a card. What makes the
processor wait for the card is counted: a value that is read, pixels that are copied from memory
that is not pinned.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import Accelerator
from lightning_fabric.plugins import Precision
from lightning_fabric.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
CUDA = torch.device("cuda", 0)
READS = (aten._local_scalar_dense.default, aten.item.default)


class Waits(TorchDispatchMode):
    """Where the processor waited for the card, as stack traces; what is read is true, 64 or 1.0."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._pinned: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, _: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is aten._pin_memory.default:
            self._pinned.append(args[0])
            return args[0]
        if func in READS:
            if args[0].device.type != "cpu":
                self._note()
            kinds = {torch.bool: True, torch.int64: 64}
            return kinds.get(args[0].dtype, 1.0)
        made = func(*args, **(kwargs or {}))
        if func is aten._to_copy.default and made.device != args[0].device:
            pinned = any(each is args[0] for each in self._pinned)
            if not (pinned and (kwargs or {}).get("non_blocking")):
                self._note()
        return made

    def _note(self) -> None:
        own = [line for line in traceback.format_stack() if "/edgesr/" in line]
        self.found.append("".join(own[-3:]))


@contextmanager
def card() -> Iterator[Waits]:
    """Inside, tensors are fakes, on the processor as on the card; yields what waited."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "_apply", _moved)
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
        patch.setattr(torch.cuda, "mem_get_info", lambda _: (2**36, 2**36))
        patch.setattr(FakeTensor, "numpy", _zeros, raising=False)
        patch.setattr(FakeTensor, "__deepcopy__", _copied, raising=False)
        with FakeTensorMode(allow_non_fake_inputs=True), Waits() as waits:
            yield waits


def _moved(
    module: nn.Module, function: Callable[[Tensor], Tensor], recurse: bool = True
) -> nn.Module:
    """`nn.Module._apply`, which cannot swap fakes: a parameter that is moved becomes a new one."""
    for child in module.children() if recurse else ():
        child._apply(function)
    for name, old in module._parameters.items():
        new = old if old is None else function(old.detach())
        if new is not None and (new.device, new.dtype) != (old.device, old.dtype):
            module._parameters[name] = nn.Parameter(new, old.requires_grad)
    for name, buffer in module._buffers.items():
        module._buffers[name] = buffer if buffer is None else function(buffer)
    return module


def _zeros(fake: Tensor) -> np.ndarray[Any, Any]:
    assert fake.device.type == "cpu"
    return np.zeros(tuple(fake.shape), str(fake.dtype).removeprefix("torch."))


def _copied(fake: Tensor, memo: dict[int, Any]) -> Tensor:
    """`copy.deepcopy`, which asks where the values lie."""
    made: Tensor = fake.detach().clone()
    if isinstance(fake, nn.Parameter):
        made = nn.Parameter(made, fake.requires_grad)
    return memo.setdefault(id(fake), made)


class _Faked(Accelerator):
    """An accelerator that needs nothing."""

    def setup_device(self, device: torch.device) -> None: ...

    def teardown(self) -> None: ...

    @staticmethod
    def parse_devices(devices: int) -> int:
        return devices

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        return [CUDA] * devices

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "cuda"


class _OnCard(SingleDeviceStrategy):
    """One process. Autograd's engine wants streams, which a fake card has not: what trains gets a
    gradient of ones instead."""

    def __init__(self) -> None:
        super().__init__(CUDA, _Faked())
        self.parameters: list[nn.Parameter] = []

    def module_to_device(self, module: nn.Module) -> None:
        assert {parameter.device for parameter in module.parameters()} == {CUDA}, "optimised before"
        self.parameters += module.parameters()

    def backward(self, tensor: Tensor, *_: Any, **__: Any) -> None:
        assert tensor.requires_grad
        assert tensor.device == CUDA
        for parameter in self.parameters:
            if parameter.requires_grad:
                parameter.grad = torch.ones_like(parameter)


def fabric(precision: Precision | None = None) -> Fabric:
    """One process on the card."""
    return Fabric(strategy=_OnCard(), plugins=precision)
