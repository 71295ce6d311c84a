"""Networks as files: one safetensors file, written whole or not at all, read without pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wireloom.base import InvalidValue, write_whole
from wireloom.models.architectures import ARCHITECTURES, Shape
from wireloom.models.member import Member
from wireloom.models.members import Population
from wireloom.models.net import Net
from wireloom.wiring import FlexOrigin, Wiring

FORMAT, VERSION = "wireloom.networks", 1


def save(net: Net | Population, path: str | os.PathLike[str]) -> None:
    """Write a network or a population: parameters, running values, shapes, wirings, seeds.

    The file is safetensors; what is no tensor stands as JSON in its header, with the versions of
    Wireloom and torch, and a digest by which `load` finds damage.

    Args:
        net: made by `build` or `population`.
        path: the file, written whole or not at all.

    Raises:
        InvalidValue: for another module, whose state dict torch and safetensors write.
        OSError: as the system has it.
    """
    from safetensors.torch import save as to_bytes

    if not isinstance(net, Net | Population):
        raise InvalidValue(
            f"`net` of save must be a network or population of Wireloom; got {type(net).__name__}"
        )
    inner = net.net if isinstance(net, Population) else net
    wirings = list(dict.fromkeys(m.wiring for m in inner.members if m.wiring is not None))
    number = {wiring: i for i, wiring in enumerate(wirings)}
    header = {
        "kind": "population" if isinstance(net, Population) else "net",
        "training": net.training,
        "wirings": [_described(wiring) for wiring in wirings],
        "members": [
            {
                "shape": asdict(m.shape),
                "wiring": None if m.wiring is None else number[m.wiring],
                "seed": m.seed,
            }
            for m in inner.members
        ],
    }
    networks = json.dumps(header)
    tensors = {name: t.detach().cpu().contiguous() for name, t in inner.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "networks": networks,
        "digest": _digest(networks, tensors),
        "wireloom": version("wireloom"),
        "torch": torch.__version__,
    }
    write_whole(path, to_bytes(tensors, metadata=metadata))


def load(
    path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Net | Population:
    """The network or population that `save` wrote, with the same bits, in the mode it was in.

    Args:
        path: the file.
        device: where its tensors shall lie.
        dtype: to which they are converted; by default they stay as they were.

    Raises:
        InvalidValue: for a file that is missing, damaged, of another program, or of a later
            version of the format; for a dtype that is not one of floating point numbers.

    Example:
        >>> save(build("mlp", ring(nodes=8)), "net.safetensors")
        >>> load("net.safetensors").cost()
        Cost(macs=2364928, params=2370090)
    """
    from safetensors import SafetensorError, safe_open

    if dtype is not None and not dtype.is_floating_point:
        raise InvalidValue(f"`dtype` of load must be one of floating point numbers; got {dtype}")
    try:
        with safe_open(Path(path), framework="pt") as file:
            metadata = file.metadata() or {}
            header = _checked(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        wirings = [_restored(entry) for entry in header["wirings"]]
        members = [_member(entry, wirings) for entry in header["members"]]
        population, training = header["kind"] == "population", bool(header["training"])
        net = _filled(members, tensors, torch.device(device), path)
        if metadata.get("digest") != _digest(metadata["networks"], tensors):
            raise ValueError("its contents do not fit its digest")
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror or error}") from None
    except (
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        OverflowError,
        MemoryError,
        RuntimeError,
    ) as error:
        if isinstance(error, InvalidValue) and str(error).startswith(str(path)):
            raise
        said = str(error).split("\n", 1)[0]
        raise InvalidValue(f"{path} is damaged or no network: {said}") from None
    if dtype is not None:
        net = net.to(dtype)
    found = Population(net) if population else net
    return found.train(training)


def _digest(networks: str, tensors: Mapping[str, Tensor]) -> str:
    """32 hexadecimal digits of the header and of the tensors' names, types, shapes and bytes."""
    found = hashlib.blake2b(networks.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        if tensor.numel():
            found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def is_saved(path: str | os.PathLike[str]) -> bool:
    """Whether a safetensors file says that `save` wrote it."""
    from safetensors import safe_open

    with safe_open(Path(path), framework="pt") as file:
        return (file.metadata() or {}).get("format") == FORMAT


def _checked(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise InvalidValue(f"{path} is no network that wireloom.save wrote")
    if metadata.get("version") != str(VERSION):
        raise InvalidValue(
            f"{path} has format version {metadata.get('version')}; this Wireloom reads {VERSION}"
        )
    return json.loads(metadata["networks"])


def _described(wiring: Wiring) -> dict[str, Any]:
    return {
        "nodes": wiring.nodes,
        "directed": wiring.directed,
        "edges": wiring.edges.tolist(),
        "ws_flex": None if wiring.origin is None else asdict(wiring.origin),
        "digest": wiring.digest,
    }


def _restored(entry: Mapping[str, Any]) -> Wiring:
    wiring = Wiring.from_edges(entry["nodes"], entry["edges"], directed=entry["directed"])
    if wiring.digest != entry["digest"]:
        raise ValueError("the edges of a wiring do not fit its digest")
    origin = entry["ws_flex"]
    return wiring if origin is None else wiring.with_origin(FlexOrigin(**origin))


def _member(entry: Mapping[str, Any], wirings: list[Wiring]) -> Member:
    given = dict(entry["shape"])
    if given["model"] not in ARCHITECTURES:
        raise ValueError(f"the model {given['model']!r} is not known")
    for field in fields(Shape):
        if isinstance(given[field.name], list):
            given[field.name] = tuple(given[field.name])
    wiring = None if entry["wiring"] is None else wirings[entry["wiring"]]
    return Member(Shape(**given), wiring, entry["seed"])


def _filled(
    members: list[Member],
    tensors: Mapping[str, Tensor],
    device: torch.device,
    path: str | os.PathLike[str],
) -> Net:
    floating = {t.dtype for t in tensors.values()}
    if len(floating) != 1:
        raise ValueError(f"its tensors have several types, {sorted(map(str, floating))}")
    net = Net(members, device="meta", dtype=floating.pop())
    wanted = net.state_dict()
    for name in wanted.keys() | tensors.keys():
        if name not in wanted or name not in tensors:
            there = "has" if name in tensors else "lacks"
            raise InvalidValue(f"{path} is damaged or no network: it {there} the tensor {name}")
        if wanted[name].shape != tensors[name].shape:
            raise InvalidValue(
                f"{path} is damaged or no network: {name} must have shape "
                f"{list(wanted[name].shape)}; it has {list(tensors[name].shape)}"
            )
    net.to_empty(device=device)
    net.load_state_dict(tensors)
    return net
