"""Compile the kernels as for a GPU, without one: `compile_triton.py CAPABILITY DTYPE`, to JSON."""

from __future__ import annotations

import json
import sys

import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from wireloom.compute import gpu, kernels_triton

NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def main(capability: str, dtype: str) -> None:
    """Compile the largest tiles of each kernel and print what came of it."""
    wide = 64 if dtype == "float32" else 128
    found = gpu._settings(torch.empty(0, dtype=getattr(torch, dtype)), 128, wide)
    sets = {k: v for k, v in found.items() if k.isupper()} | {"WIDEN": False}
    options = {k: v for k, v in found.items() if k.islower()}
    one = f"*{NAMES[dtype]}"
    kinds = {
        "tiles": "*i64",
        **dict.fromkeys(("inputs", "places"), "*i32"),
        **dict.fromkeys(("weight", "x", "y", "gradient"), one),
        "parts": "*fp32",
    }
    rows = []
    for kernel, constants in (
        (kernels_triton.product, sets | {"BATCH": wide, "BACK": False, "ALIGN": 1}),
        (kernels_triton.product, sets | {"BATCH": wide, "BACK": True, "ALIGN": 8}),
        (kernels_triton.outer, sets | {"COLUMNS": 128}),
        (kernels_triton.add_up, {"WIDTH": 1024}),
    ):
        names = kernel.arg_names
        source = ASTSource(
            fn=kernel,
            signature={n: "constexpr" if n in constants else kinds.get(n, "i32") for n in names},
            constexprs={(i,): constants[n] for i, n in enumerate(names) if n in constants},
            attrs={
                (i,): [["tt.divisibility", 16]]
                for i, n in enumerate(names)
                if n == "batch" or n in kinds
            },
        )
        made = compile(source, target=GPUTarget("cuda", int(capability), 32), options=options)
        used = [name for name in ("wgmma", "mma.sync", "fma") if name in made.asm["ptx"]]
        rows.append(
            {
                "name": kernel.__name__,
                "shared": made.metadata.shared,
                "instruction": (used or ["none"])[0],
            }
        )
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
