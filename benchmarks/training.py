"""Speed of what training one big network needs, as ratios against the plain alternatives.

    python benchmarks/training.py [--out FILE]

Two processes of one thread against one process of two; pictures streamed by threads against a
plain loop; mixed precision against float32. Both sides of a row take turns in one run, but for the
processes, which are whole commands, one after another.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from common import Row, compare, show
from wireloom import build, data, ws_flex
from wireloom.data import batches, crops, streamed
from wireloom.models import Population
from wireloom.training import Optimiser, Recipe
from wireloom.training.running import Training

WIRING = ws_flex(nodes=16, degree=5, rewire=0.3, seed=0)


def processes() -> list[Row]:
    """`wireloom train` by two processes of one thread, and by one of two; whole epochs' seconds."""
    words = ["--data", "patches", "--limit", "4000", "--model", "resnet34_sep", "--width", "32"]
    words += ["--nodes", "16", "--degree", "5", "--epochs", "2", "--accumulate", "2"]
    run = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]

    def taken(before: list[str], threads: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, *before, "-m", "wireloom", "train", *words]
            command += ["--threads", threads, "--out", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        said = next(s for s in done.stdout.splitlines() if s.startswith("test error"))
        minutes, rest = said.split(", ")[2].split()[0].split(":")
        return 60 * int(minutes) + int(rest)

    two, one = taken(run, "1"), taken([], "2")
    name = "2 epochs of a wired ResNet-34-sep, 2 processes of 1 thread against 1 of 2"
    return [(name, f"{two:.0f} s", f"one process {one:.0f} s", f"{one / two:.2f}x its speed")]


def pictures(folder: Path) -> None:
    """Some photographs' size: 500 x 375 pixels, smooth, JPEG."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 64), ("val", 2)):
        for name in ("a", "b"):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                rough = Image.fromarray(draws.integers(0, 255, (24, 32, 3), dtype=np.uint8))
                smooth = rough.resize((500, 375), Image.Resampling.BICUBIC)
                smooth.save(folder / part / name / f"{i}.jpg", quality=90)


def streaming(rounds: int) -> list[Row]:
    """Pictures a second, augmented, by two threads and by a plain loop without any tricks."""
    with tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder))
        source = data.stream_folder(folder, workers=2)
        count = source.train_count

        def ours() -> None:
            for _ in batches(source, batch=32, data_seed=0, epoch=0, augment=source.augment):
                pass

        def plain() -> None:
            for index in range(count):
                with Image.open(source.train.path(index)) as picture:
                    seen = crops.look(*picture.size, source.augment, 0, 0, index)
                    cut = picture.convert("RGB").resize(
                        (224, 224), Image.Resampling.BILINEAR, box=seen.box
                    )
                x = torch.from_numpy(np.asarray(cut).copy()).permute(2, 0, 1).float() / 255
                x += torch.from_numpy(seen.shift).float()[:, None, None]
                x -= torch.tensor(crops.MEAN)[:, None, None]
                x /= torch.tensor(crops.DEVIATION)[:, None, None]

        mine, theirs, ratio, least, most = compare(ours, plain, rounds, (1.0, 1.0))
    row = (
        f"pictures of 500 x 375 to 224 x 224, cut, mirrored, lit, {streamed.AHEAD} batches ahead",
        f"{count / mine:.0f} a second by 2 threads", f"plain loop {count / theirs:.0f}",
        f"{ratio:.2f}x its speed ({least:.2f}-{most:.2f})",
    )  # fmt: skip
    return [row]


def precision(rounds: int) -> list[Row]:
    """An epoch in bfloat16 against one in float32, one thread."""
    torch.set_num_threads(1)
    samples = data.load("digits")
    rows = []
    for model, width in (("mlp", 512), ("mlp", 64), ("cnn6", 32)):
        sizes = {"width": width} | ({"stem": width} if model == "mlp" else {})
        made = []
        for name in ("bfloat16", "float32"):
            net = build(model, WIRING, image=samples.image, classes=10, **sizes)
            recipe = Recipe(epochs=10**6, evaluate=10**6, precision=name)
            population = Population(net)
            made.append(Training(population, samples, Optimiser(population, recipe)))
        low, full, ratio, least, most = compare(
            made[0].run_epoch, made[1].run_epoch, rounds, (1.0, 1.0)
        )
        rows.append(
            (f"an epoch of digits, wired {model} of {width}, bfloat16", f"{low * 1e3:.0f} ms",
             f"float32 {full * 1e3:.0f} ms", f"{ratio:.2f}x its speed ({least:.2f}-{most:.2f})")
        )  # fmt: skip
    return rows


def main() -> None:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each row (5)")
    parser.add_argument("--out", type=Path, help="write the table here as Markdown")
    options = parser.parse_args()
    rows = [*processes(), *streaming(options.rounds), *precision(options.rounds)]
    show(rows, f"medians of {options.rounds} rounds, ranges in brackets", options.out)


if __name__ == "__main__":
    main()
