"""Studies that are worth running as they are; options override their settings. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Settings of `wireloom explore`.

    about: what the study is, for the help.
    data: data set, or "" where it must be given.
    wirings, nodes: how many wirings, of how many nodes; or "connectomes", which have their own.
    seeds: how many seeds each.
    epochs, batch, lr, weight_decay: of the recipe.
    width, stem, hidden: of the dense baseline.
    limit: most training samples, 0 for all.
    order: of the samples, "shared" or "per_seed".
    """

    about: str
    data: str
    wirings: int | str = 52
    nodes: int = 64
    seeds: int = 19
    epochs: int = 10
    batch: int = 128
    lr: float = 0.1
    weight_decay: float = 5e-4
    width: int = 64
    stem: int = 64
    hidden: int = 3
    limit: int = 0
    order: str = "shared"


PRESETS = {
    "photographs": Preset(
        about="which of 16 photographs does a 12 x 12 patch come from; about 2 minutes",
        data="patches",
        limit=6000,
    ),
    "digits": Preset(
        about="handwritten digits, 8 x 8; half a minute, and too easy to tell wirings apart",
        data="digits",
        seeds=5,
        epochs=20,
    ),
    "connectomes": Preset(
        about="cat and macaque brains against dense, same-degree and sweet-spot wirings, on "
        "patches; about 3 minutes",
        data="patches",
        wirings="connectomes",
        seeds=15,
        width=128,  # of the narrowest wired layer, at least the macaque's 71 nodes
        stem=128,
        limit=6000,
    ),
    "paper": Preset(
        about="the paper's CIFAR-10 study, 200 epochs; give --data cifar10:PATH",
        data="",
        seeds=5,
        epochs=200,
        width=512,
        stem=512,
        order="per_seed",
    ),
    "paper-hour": Preset(
        about="the same at 7 epochs and 2 seeds: an hour on 2 cores; give --data cifar10:PATH",
        data="",
        seeds=2,
        epochs=7,
        width=512,
        stem=512,
        order="per_seed",
    ),
}
DEFAULT = "photographs"
