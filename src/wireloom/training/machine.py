"""What a result was computed on: hardware, threads, versions."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from wireloom.base import InvalidValue
from wireloom.native import _native
from wireloom.training.recipe import NUMERICS


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name and number of cores."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:  # not Linux
        return f"{name}, {os.cpu_count()} cores"
    return f"{name}, {os.cpu_count()} cores"


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit of the source tree that runs, with "+" if changed; "" outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    tracked = here.parents[1].name == "src"
    return found.stdout.strip() if tracked and found.returncode == 0 else ""


@lru_cache(maxsize=1)
def installed() -> str:
    """The installed version of Wireloom."""
    try:
        return version("wireloom")
    except PackageNotFoundError:
        return "not installed"


def usable_device(name: str | torch.device, parameter: str = "device") -> torch.device:
    """The device of that name, if torch can compute on it here.

    Raises:
        InvalidValue: naming ``parameter``, for a name that torch does not know, another kind than
            cpu and cuda, or a GPU that is not there.
    """
    try:
        found = torch.device(name)
    except RuntimeError:
        found = torch.device("meta")
    if found.type not in ("cpu", "cuda"):
        raise InvalidValue(f"`{parameter}` must be cpu, cuda or cuda:N; got '{name}'")
    if found.type == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= there:
            sees = f"{there} of them" if there else "no GPU"
            raise InvalidValue(
                f"`{parameter}` {name} is not there: torch sees {sees} on this machine"
            )
    return found


def machine(where: torch.device | str = "cpu") -> dict[str, str | int]:
    """Hardware and versions, for the results of a device to carry."""
    gpu = {"gpu": torch.cuda.get_device_name(where)} if torch.device(where).type == "cuda" else {}
    return gpu | {
        "processor": processor(),
        "kernels": _native.body(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "wireloom": installed(),
        "commit": commit(),
        "numerics": NUMERICS,
    }


def available_memory(where: torch.device | str = "cpu") -> int:
    """Bytes that this process may still take on a device, by the system and its control group."""
    if torch.device(where).type == "cuda":
        return torch.cuda.mem_get_info(where)[0]
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)
