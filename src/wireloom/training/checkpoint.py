"""Checkpoints of a training in progress: one safetensors file, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wireloom.base import InvalidValue, write_whole
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.training.recipe import NUMERICS

if TYPE_CHECKING:
    from wireloom.training.running import Training

FORMAT = "wireloom.training/1"


def identity(training: Training) -> str:
    """What a training is of, before its first epoch: all that its result depends on, as a digest.

    The networks' patterns and initial state, the recipe, the rates, the data, and the numerics.
    """
    optimiser = training.optimiser
    found = hashlib.blake2b(digest_size=16)
    settings = [training.recipe.settings(), training.data.digest(), NUMERICS]
    found.update(json.dumps(settings, default=list).encode())
    for module in training.population.net.modules():
        if isinstance(module, WiredLinear | WiredConv2d):
            pattern = module.pattern
            found.update(f"{pattern.out_sizes}{pattern.in_sizes}".encode())
            found.update(pattern.edges.tobytes())
    state = [*_tensors(training).values(), optimiser.lr, optimiser.weight_decay]
    for tensor in state:
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _tensors(training: Training) -> dict[str, Tensor]:
    net = training.population.net
    found = {f"net.{n}": t.detach() for n, t in [*net.named_parameters(), *net.named_buffers()]}
    for slot, tensors in training.optimiser.state.items():
        found |= {f"optimiser.{slot}.{name}": t for name, t in tensors.items()}
    found |= {f"average.{name}": mean for name, mean in training.average.items()}
    return found


def save(training: Training, path: str | os.PathLike[str], identity: str) -> None:
    """Write the state of a training between two steps."""
    from safetensors.torch import save as to_bytes

    metadata = {
        "format": FORMAT,
        "identity": identity,
        "epoch": str(training.epoch),
        "step": str(training.step),
        "steps": str(training.optimiser.steps),
        "seconds": str(training.seconds),
    }
    tensors = {name: t.contiguous() for name, t in _tensors(training).items()}
    tensors["losses"] = training.losses
    for name, rows in training.curves.items():
        if rows:
            tensors[f"curve.{name}"] = torch.stack(rows)
    write_whole(path, to_bytes(tensors, metadata=metadata))


def restore(training: Training, path: str | os.PathLike[str], identity: str) -> None:
    """Bring a training to the state that ``path`` holds.

    Raises:
        InvalidValue: if the file is damaged, or of another training.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InvalidValue(f"{path} is not a checkpoint of a training")
            if metadata.get("identity") != identity:
                raise InvalidValue(
                    f"{path} is a checkpoint of other networks, data or settings; "
                    "remove it or name another file"
                )
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, tensor in _tensors(training).items():
            if stored[name].shape != tensor.shape:
                raise InvalidValue(f"{path} is damaged: {name} has another shape")
            tensor.copy_(stored[name])
        for name in training.curves:
            rows = stored.get(f"curve.{name}")
            training.curves[name] = [] if rows is None else list(rows)
        if "losses" in stored:  # else written between two epochs, by an earlier version
            training.losses.copy_(stored["losses"])
            training.step = int(metadata["step"])
        training.epoch = int(metadata["epoch"])
        training.optimiser.steps = int(metadata["steps"])
        training.seconds = float(metadata["seconds"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"{path} is damaged: {error}") from None
