"""Train a wired network on a folder of pictures that are read as they are needed.

One sees a folder in ImageNet's layout, made here of three kinds of waves, being streamed, the
training stopped in the middle of an epoch, and its continuation ending with the same bits.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import wireloom as wl

WAVES = {"stripes": (6, 0), "bars": (0, 6), "checks": (6, 6)}


def make(root: Path) -> None:
    """Write noisy waves of some 40 x 32 pixels: 24 pictures of a class to train with, 8 to test."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 8)):
        for name, (across, down) in WAVES.items():
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                y, x = np.mgrid[0:1:32j, 0 : 1 : (40 + i) * 1j]
                levels = 128 + 60 * np.cos(2 * np.pi * across * x) * np.cos(2 * np.pi * down * y)
                pixels = levels[:, :, None] + draws.normal(0, 25, (*x.shape, 3))
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(root / part / name / f"{i}.jpg")


def stop(training) -> None:
    if (training.epoch, training.step) == (2, 3):
        raise InterruptedError


with tempfile.TemporaryDirectory() as folder:
    make(Path(folder))
    data = wl.data.stream_folder(folder, size=24, resize=28)
    wiring = wl.ws_flex(nodes=8, degree=4, rewire=0.3, seed=0)
    recipe = wl.Recipe(epochs=4, batch=12, lr=0.05, augment=("random-crop", "lighting"))
    first, second, third = (
        wl.build("cnn6", wiring, image=data.image, classes=3, width=16, seed=1) for _ in range(3)
    )
    whole = wl.fit(first, data, recipe)
    state = Path(folder) / "state.safetensors"
    try:
        wl.fit(second, data, recipe, checkpoint=state, every=0, watch_step=stop)
    except InterruptedError:
        print("stopped in the third epoch")
    wl.fit(third, data, recipe, checkpoint=state)

for epoch, error in zip(whole.epochs, whole.test_error, strict=True):
    print(f"epoch {int(epoch)}: test error {float(error):.1f} %")
same = all(torch.equal(a, third.state_dict()[name]) for name, a in first.state_dict().items())
print("resumed to the same bits:", same)
