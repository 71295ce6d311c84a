"""The command `wireloom bench`: the speed of wired linear layers on this machine."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli.parsing import add_command

if TYPE_CHECKING:
    import torch

    from wireloom.compute import Pattern

Work = Callable[[], object]
SHAPES = ("512x128", "512x1024", "256x256", "1024x128", "128x832", "64x3136")
ABOUT = """Time wired linear layers against the plain alternatives, all in one run and in turns:

  dense    one dense matmul with as many multiply-adds, at the width of the dense baseline
  masked   a dense weight times its mask, then the matmul, at the wired layer's own width
  CSR, BSR torch's sparse matrices with the same entries (BSR with even blocks)

Shares are those of the blocks that exist, of wirings of the family ws-flex. A second table has
blocks of one channel, a tenth of them there, against dense layers of the same width. "Of peak" is
the share of the multiply-adds that a loop on registers does on this machine in the same time;
that, and the bytes that a copy of memory reads and writes, head the table. Numbers are medians of
the rounds' ratios, with the middle half of the rounds in brackets; inputs are feature-major
([features, batch]) but in the rows that say otherwise. A machine that is busy with other work
gives wide brackets and little to rely on."""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "bench",
        bench,
        "speed of wired layers on this machine",
        ABOUT,
        """
wireloom bench
wireloom bench --shapes 1024x256 --shares 0.1 --threads 1 --out bench.md
""",
    )
    options = command.add_argument
    options(
        "--shapes", nargs="+", default=list(SHAPES), metavar="WxB",
        help=f"baseline width x batch ({' '.join(SHAPES)})",
    )  # fmt: skip
    options(
        "--shares", nargs="+", type=float, default=[0.1, 0.2, 0.4], metavar="S",
        help="shares of the blocks that exist (0.1 0.2 0.4)",
    )  # fmt: skip
    options("--nodes", type=int, default=64, metavar="N", help="nodes of each wiring (64)")
    options("--rounds", type=int, default=15, metavar="N", help="timings of each job (15)")
    options("--threads", type=int, default=0, metavar="N", help="0 for one a core (0)")
    options("--out", metavar="FILE", help="write the table here as Markdown too")


def bench(
    *,
    shapes: Sequence[str] = SHAPES,
    shares: Sequence[float] = (0.1, 0.2, 0.4),
    nodes: int = 64,
    rounds: int = 15,
    threads: int = 0,
    out: str | None = None,
) -> int:
    """Print the table, line by line as it comes.

    Args:
        shapes: width of the dense baseline and batch, as "512x128".
        shares: of the blocks that exist.
        nodes: of each wiring.
        rounds: timings of each job, of which the median is shown.
        threads: of torch and the native kernels, 0 for one a core.
        out: file for the table.
    """
    import torch

    from wireloom.base import InvalidValue, write_whole
    from wireloom.training import machine

    if rounds < 1:
        raise InvalidValue(f"`--rounds` must be at least 1; got {rounds}")
    cases = [(width, batch, share) for width, batch in map(_shape_of, shapes) for share in shares]
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    try:
        about = ", ".join(f"{k} {v}" for k, v in machine().items() if k != "threads")
        say(f"{about}; {torch.get_num_threads()} threads; medians of {rounds} rounds")
        say("")
        peak, memory = _limits(rounds)
        say(f"at most {peak / 1e9:.1f} G multiply-adds/s and {memory / 1e9:.1f} GB/s of memory")
        say("")
        say("| layer | job | wired | of peak | of dense | than masked | than BSR | than CSR |")
        say("|---|---|---|---|---|---|---|---|")
        for width, batch, share in cases:
            for row in _rows(width, batch, share, nodes, rounds, peak):
                say(f"| {' | '.join(row)} |")
        say("")
        say("| single edges | job | wired | of peak | than dense of this width |")
        say("|---|---|---|---|---|")
        for width, batch in dict.fromkeys((width, batch) for width, batch, _ in cases):
            for row in _single_rows(width, batch, rounds, peak):
                say(f"| {' | '.join(row)} |")
    finally:
        torch.set_num_threads(before)
    if out:
        write_whole(Path(out), "\n".join(lines) + "\n")
    return 0


def _shape_of(text: str) -> tuple[int, int]:
    from wireloom.base import InvalidValue

    width, _, batch = text.partition("x")
    if not (width.isdigit() and batch.isdigit() and int(width) and int(batch)):
        raise InvalidValue(f"`--shapes` must be like 512x128, width x batch; got {text!r}")
    return int(width), int(batch)


def _limits(rounds: int) -> tuple[float, float]:
    """Multiply-adds a second on registers, and bytes a second that a copy reads and writes."""
    import time

    import torch

    from wireloom.compute import cpu

    source = torch.zeros(1 << 24)
    target = torch.zeros_like(source)
    speeds = []
    for work in (lambda: cpu.peak(2_000_000), lambda: 2 * target.copy_(source).nbytes):
        fastest = 0.0
        for _ in range(rounds + 3):  # a processor needs some milliseconds to reach its clock rate
            started = time.perf_counter()
            done = work()
            fastest = max(fastest, done / (time.perf_counter() - started))
        speeds.append(fastest)
    return speeds[0], speeds[1]  # the fastest rounds: other work on the machine only takes away


def _rows(
    width: int, batch: int, share: float, nodes: int, rounds: int, peak: float
) -> list[list[str]]:
    from wireloom.base import InvalidValue
    from wireloom.compute import Pattern
    from wireloom.wiring import ws_flex

    degree = share * nodes - 1
    if not 2 <= degree <= nodes - 1:
        raise InvalidValue(
            f"`--shares` must be in [{3 / nodes:g}, 1] with {nodes} nodes; got {share:g}"
        )
    wiring = ws_flex(nodes=nodes, degree=degree, rewire=0.2)
    wired = max(nodes, round(width / wiring.density**0.5))
    pattern = Pattern.from_wiring(wiring, out=wired, into=wired)
    even = max(1, round(wired / nodes)) * nodes
    layer = f"{width} dense, {wired} wired in blocks of {wired / nodes:.1f}, share {share:g}"
    rows = []
    for job, jobs in _jobs(
        pattern, Pattern.from_wiring(wiring, out=even, into=even), width, batch
    ).items():
        times = _times(list(jobs.values()), rounds)
        ours = times[0]
        # Ratios at equal multiply-adds: matched widths are whole numbers.
        work = dict.fromkeys(jobs, 1.0) | {
            "dense": pattern.weights / width**2,
            "BSR": pattern.weights / (wiring.density * even**2),
        }
        cells = []
        for name in ("dense", "masked", "BSR", "CSR"):
            if name not in jobs:
                cells.append("")
                continue
            theirs = times[list(jobs).index(name)]
            ratios = [work[name] * b / a for a, b in zip(ours, theirs, strict=True)]
            cells.append(_spread([1 / r for r in ratios] if name == "dense" else ratios))
        work_done = pattern.weights * batch * (3 if "backward" in job else 1)
        rows.append([f"{layer}, batch {batch}", job, *_speed(ours, work_done, peak), *cells])
    return rows


def _speed(times: list[float], multiply_adds: int, peak: float) -> tuple[str, str]:
    """Median time of the wired side, and its speed as a share of the peak."""
    middle = statistics.median(times)
    return f"{middle * 1e6:,.0f} us", f"{100 * multiply_adds / (middle * peak):.0f} %"


def _single_rows(width: int, batch: int, rounds: int, peak: float) -> list[list[str]]:
    """Blocks of one channel, a tenth of them there, linear and as a pointwise convolution."""
    import numpy as np
    import torch

    from wireloom.compute import Pattern, Window, convolution, product

    mask = np.random.default_rng(0).random((width, width)) < 0.1
    ones, where = [1] * width, np.argwhere(mask)
    pattern = Pattern(ones, ones, where)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(pattern.weights, generator=generator)
    dense = torch.randn(width, width, generator=generator)
    x = torch.randn(width, batch, generator=generator)
    maps = x.view(width, 1, 1, batch).transpose(0, 1)
    window, pointwise = Window((1, 1)), torch.nn.functional.conv2d
    rows = []
    for job, calls in {
        "linear": (lambda w, x: product(pattern, w, x), lambda w, x: w @ x, x),
        "1x1 convolution": (
            lambda w, x: convolution(pattern, window, w, x),
            lambda w, x: pointwise(x, w[:, :, None, None]),
            maps,
        ),
    }.items():
        ours, theirs, operand = calls
        for name, passes in (("forward", 1), ("forward and backward", 3)):
            make = _both if passes == 3 else functools.partial
            times = _times([make(ours, weight, operand), make(theirs, dense, operand)], rounds)
            ratios = [b / a for a, b in zip(*times, strict=True)]
            layer = f"width {width}, batch {batch}, share {mask.mean():.2f}"
            speed = _speed(times[0], passes * pattern.weights * batch, peak)
            rows.append([layer, f"{job}, {name}", *speed, _spread(ratios)])
    return rows


def _both(call: Callable[..., torch.Tensor], *operands: torch.Tensor) -> Work:
    """Forward and backward, with the gradients of all operands."""
    import torch

    leaves = [t.clone().requires_grad_() for t in operands]
    upstream = torch.ones_like(call(*operands))
    return lambda: torch.autograd.grad(call(*leaves), leaves, upstream)


def _spread(ratios: list[float]) -> str:
    """Median and quartiles."""
    import numpy as np

    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"{middle:.2f}x ({low:.2f}-{high:.2f})"


def _times(jobs: list[Work], rounds: int) -> list[list[float]]:
    """Seconds of each job in each round, the jobs taking turns."""
    import time

    def seconds(job: Work, repeats: int) -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            job()
        return (time.perf_counter() - started) / repeats

    for job in jobs:
        job()  # warm-up
    # Short jobs are repeated, to some milliseconds a turn.
    repeats = [max(1, min(20, int(2e-3 / seconds(job, 1)))) for job in jobs]
    turns = [
        [seconds(job, often) for job, often in zip(jobs, repeats, strict=True)]
        for _ in range(rounds)
    ]
    return [list(column) for column in zip(*turns, strict=True)]


def _jobs(pattern: Pattern, even: Pattern, width: int, batch: int) -> dict[str, dict[str, Work]]:
    """What is timed, by job and side; the wired side comes first."""
    import warnings

    import torch

    from wireloom.compute import product

    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    wired, dense = drawn(pattern.weights), drawn(width, width)
    mask = torch.from_numpy(pattern.mask()).float()
    masked = drawn(*pattern.shape)
    x, wide = drawn(width, batch), drawn(pattern.shape[1], batch)
    with warnings.catch_warnings():  # torch says that its sparse matrices are in beta
        warnings.simplefilter("ignore")
        csr = pattern.to_csr(wired)
        block = (even.out_sizes[0], even.in_sizes[0])
        bsr = even.to_bsr(drawn(even.weights), block)
    level = drawn(even.shape[1], batch)

    major, wide_major = x.t().contiguous(), wide.t().contiguous()  # [batch, features]
    linear = torch.nn.functional.linear
    return {
        "forward": {
            "wired": lambda: product(pattern, wired, wide),
            "dense": lambda: dense @ x,
            "masked": lambda: (mask * masked) @ wide,
            "BSR": lambda: bsr @ level,
            "CSR": lambda: csr @ wide,
        },
        "forward and backward": {
            "wired": _both(lambda w, x: product(pattern, w, x), wired, wide),
            "dense": _both(lambda w, x: w @ x, dense, x),
            "masked": _both(lambda w, x: (mask * w) @ x, masked, wide),
        },
        "forward, [batch, features]": {
            "wired": lambda: product(pattern, wired, wide_major.t()).t(),
            "dense": lambda: linear(major, dense),
            "masked": lambda: linear(wide_major, mask * masked),
        },
    }
