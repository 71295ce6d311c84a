"""Processes that train one network together, by torch.distributed: what they say to each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, distributed

from wireloom.base import InvalidValue, WireloomError
from wireloom.training.machine import usable_device
from wireloom.training.recipe import NUMERICS


class ProcessLost(WireloomError):
    """Another process of the training has ended; its last checkpoint can be gone on from."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together; by default one alone.

    rank: which of them this one is, from 0.
    count: how many they are.
    """

    rank: int = 0
    count: int = 1

    @property
    def share(self) -> tuple[int, int]:
        """This one's share of the samples, as `wireloom.data.batches` takes it."""
        return self.rank, self.count

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, the same bits in all of them.

        The tensors of one type travel as one message.
        """
        if self.count == 1:
            return
        for _, group in groupby(tensors, key=lambda t: t.dtype):
            some = list(group)
            flat = torch.cat([t.reshape(-1) for t in some])
            with _watched():
                distributed.all_reduce(flat)
            for tensor, total in zip(some, flat.split([t.numel() for t in some]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def agree(self, state: str) -> None:
        """Raise unless all processes are in the same state, told by a text.

        Raises:
            InvalidValue: naming a process that differs from the first.
        """
        if self.count == 1:
            return
        said = f"{NUMERICS} {state}".encode().ljust(128)[:128]
        own = torch.frombuffer(bytearray(said), dtype=torch.uint8)
        if distributed.get_backend() == "nccl":
            own = own.cuda()
        all_ = [torch.empty_like(own) for _ in range(self.count)]
        with _watched():
            distributed.all_gather(all_, own)
        for rank, other in enumerate(all_):
            if not torch.equal(other, all_[0]):
                raise InvalidValue(
                    f"all processes must train the same network on the same data from the same "
                    f"checkpoint, with one version of Wireloom; process {rank} differs from 0"
                )


def current() -> Processes:
    """Those of torch.distributed's default group; one alone if there is none."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Processes()
    return Processes(distributed.get_rank(), distributed.get_world_size())


def expected() -> tuple[int, int, int]:
    """What torchrun says: this process's rank, how many there are, how many on this machine."""
    rank, count, here = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_WORLD_SIZE", "1"))
    )
    return rank, count, here


def device_of(name: str, parameter: str = "device") -> torch.device:
    """The device of that name for this process: "cuda" is a GPU of its own.

    Raises:
        InvalidValue: naming ``parameter``, in every process alike, if there are too few.
    """
    if name == "cuda" and expected()[2] > 1:
        usable_device(f"cuda:{expected()[2] - 1}", parameter)
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return usable_device(name, parameter)


@contextmanager
def together(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started; leave them at the end."""
    if expected()[1] == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _watched():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield current()
    finally:
        distributed.destroy_process_group()


@contextmanager
def _watched() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(
            "another process of the training has ended or cannot be reached; the same command "
            "goes on from the last checkpoint"
        ) from error
