"""Speed on a GPU, as ratios against dense torch and masked torch, both sides in one run.

    python benchmarks/gpu.py [--quick]

It needs a GPU and triton; without them it says so and ends. No number of it is published yet: the
kernels have not run on a GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from common import Row, compare
from masked import masked
from populations import train_masked, train_ours
from wireloom.compute import Pattern, gpu, outer, product
from wireloom.data import load
from wireloom.models import Build, Population
from wireloom.wiring import published_sample, ws_flex

BASE, BATCH = 4096, 8192


def waited(work: Callable[[], object]) -> Callable[[], None]:
    """A job that has ended on the GPU when it returns."""

    def both() -> None:
        work()
        torch.cuda.synchronize()

    return both


def layers(rounds: int) -> list[Row]:
    """A wired layer in bfloat16 against torch's dense one, per multiply-add."""
    rows = []
    wiring = ws_flex(nodes=64, degree=9.5, rewire=0.3, seed=0)
    matched = BASE / wiring.density**0.5
    for step, what in ((512, "blocks of whole eights"), (1, "ragged blocks")):
        width = step * round(matched / step)
        pattern = Pattern.from_wiring(wiring, out=width, into=width)
        scale = (1e3 * BASE**2 / pattern.weights, 1e3)

        def made(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)

        weight, x, dy = made(pattern.weights), made(width, BATCH), made(width, BATCH)
        dense, u, du = made(BASE, BASE), made(BASE, BATCH), made(BASE, BATCH)
        weight.requires_grad_(), x.requires_grad_(), dense.requires_grad_(), u.requires_grad_()
        for name, ours, plain in (
            (
                "forward",
                lambda p=pattern, w=weight, x=x: product(p, w.detach(), x.detach()),
                lambda w=dense, u=u: w.detach() @ u.detach(),
            ),
            (
                "weight's gradient",
                lambda p=pattern, x=x, dy=dy: outer(p, dy, x.detach()),
                lambda u=u, du=du: du @ u.detach().t(),
            ),
            (
                "forward and backward",
                lambda p=pattern, w=weight, x=x, dy=dy: torch.autograd.grad(
                    product(p, w, x), (w, x), dy
                ),
                lambda w=dense, u=u, du=du: torch.autograd.grad(w @ u, (w, u), du),
            ),
        ):
            mine, theirs, ratio, low, high = compare(waited(ours), waited(plain), rounds, scale)
            rows.append(
                (
                    f"wired linear {width} ({pattern.density:.2f} of its blocks, {what}), bfloat16,"
                    f" batch {BATCH}, {name}",
                    f"{mine:.2f} ms for {BASE}^2 multiply-adds a sample",
                    f"dense torch {theirs:.2f} ms",
                    f"{ratio:.2f}x ({low:.2f}-{high:.2f})",
                )
            )
    return rows


def populations(rounds: int, members: int = 256, width: int = 512, batch: int = 128) -> list[Row]:
    """A training step of the published experiment's MLPs against one by one, masked."""
    data = load("patches").to("cuda")
    build = Build(image=data.image, classes=data.classes, width=width, stem=width)
    wirings = list(published_sample().values())
    chosen = [wirings[i % len(wirings)] for i in range(members)]
    together = Population([build.member(w, i) for i, w in enumerate(chosen)], device="cuda")
    plain_nets = [masked(build.shape(w), w).to("cuda") for w in wirings[:6]]
    steps = 8

    def ours() -> None:
        train_ours(together, data, batch, steps)

    def plain() -> None:
        for net in plain_nets:
            train_masked(net, data, batch, steps)

    scale = (1e3 / (members * steps), 1e3 / (len(plain_nets) * steps))
    mine, theirs, ratio, low, high = compare(waited(ours), waited(plain), rounds, scale)
    return [
        (
            f"training step, {members} wired MLPs as a population: base width {width}, batch "
            f"{batch}, float32",
            f"{mine:.3f} ms a network",
            f"masked, one by one {theirs:.3f} ms",
            f"{ratio:.1f}x ({low:.1f}-{high:.1f})",
        )
    ]


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("This benchmark needs a GPU; torch.cuda is not available here. Nothing was measured.")
        return
    if not gpu.serves(torch.empty(0, device="cuda")):
        print("This benchmark needs triton, which is not installed here. Nothing was measured.")
        return
    rounds = 3 if options.quick else 9
    rows = [*layers(rounds), *populations(rounds)]
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}; medians of {rounds} rounds\n"
    )
    print("| what | Wireloom | plain | ratio |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
