"""Compile what the kernels' callers launch as for a GPU, without one.

    compile_triton.py CAPABILITY DTYPE

Prints, as JSON, the kernels in the order of their launches, each with the shared memory that it
needs, its asynchronous copies and the instruction that multiplies.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.driver import CudaDriver

from wireloom.compute import Pattern, convolution_gpu, gpu, kernels_triton
from wireloom.compute.plan import plan
from wireloom.compute.window import Window


class Absent(CudaDriver):
    """A GPU to compile for."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


class Compiling:
    """The kernels, compiled where they would be launched."""

    def __init__(self, found: list[dict[str, Any]]) -> None:
        self.found = found

    def __getattr__(self, name: str) -> Any:
        kernel, found = getattr(kernels_triton, name), self.found

        class Launcher:
            def __getitem__(self, grid: tuple[int, ...]) -> Any:
                def launch(*args: Any, **settings: Any) -> None:
                    settings |= {"WIDEN": False} if "WIDEN" in settings else {}
                    made = kernel.warmup(*args, grid=grid, **settings)
                    text = made.asm["ptx"]
                    used = [i for i in ("wgmma", "mma.sync", "fma") if i in text]
                    found.append(
                        {
                            "name": name,
                            "shared": made.metadata.shared,
                            "asynchronous": text.count("cp.async.c"),
                            "instruction": (used or ["none"])[0],
                        }
                    )

                return launch

        return Launcher()


def compiled(capability: int, dtype: torch.dtype) -> list[dict[str, Any]]:
    """Every kernel, with the largest tiles."""
    triton.runtime.driver.set_active(Absent(capability))
    found: list[dict[str, Any]] = []
    gpu._kernels = lambda: Compiling(found)
    aligned, ragged = Pattern.dense(out=128, into=128), Pattern.dense(out=115, into=115)

    def made(*shape: int) -> torch.Tensor:
        return torch.empty(*shape, dtype=dtype)

    for pattern in (aligned, ragged):
        words, (rows, columns) = plan(pattern).words, pattern.shape
        weight, x, y = made(pattern.weights), made(columns, 3200), made(rows, 3200)
        gpu.product(words, weight, x, rows)
        gpu.transposed_product(words, weight, y, columns)
    gpu.outer(words, y, x, pattern.weights)
    window = Window((3, 3), (2, 2), (1, 1))
    weight, x, y = made(9 * pattern.weights), made(columns, 2, 16, 16), made(rows, 2, 8, 8)
    rest = window.numbers, 16, 16
    convolution_gpu.convolution(words, weight, x, rows, *rest)
    convolution_gpu.transposed(words, weight, y, columns, *rest)
    convolution_gpu.outer(words, y, x, len(weight), *rest)
    return found


if __name__ == "__main__":
    json.dump(compiled(int(sys.argv[1]), getattr(torch, sys.argv[2])), sys.stdout)
