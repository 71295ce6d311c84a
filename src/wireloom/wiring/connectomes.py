"""Wirings of brains: which cortical areas send to which."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from wireloom.base import InvalidValue, nearest
from wireloom.wiring.value import Wiring

AREAS = {"cat": 52, "macaque": 71, "macaque-visual": 30}


def connectome(name: str) -> Wiring:
    """The directed wiring between cortical areas of an animal.

    ========================  ======  ======  ======  ======
    name                      areas   arrows  C       L
    ========================  ======  ======  ======  ======
    ``cat``                   52      820     0.666   1.633
    ``macaque``               71      746     0.503   2.245
    ``macaque-visual``        30      308     0.634   1.589
    ========================  ======  ======  ======  ======

    C and L are of the undirected form. The macaque's arrows do not lead everywhere: 1.4 % of the
    ordered pairs have no path.

    Args:
        name: "cat", "macaque" or "macaque-visual" (the visual cortex alone).

    Raises:
        InvalidValue: for another name.

    Source: You et al. 2020, section 6, whose published code (MIT, Facebook, Inc. and its
    affiliates) ships the matrices without saying where they come from; the primary anatomy papers
    should be cited with them.

    Example:
        >>> len(connectome("cat").edges)
        820
    """
    if name not in AREAS:
        raise InvalidValue(
            f"`name` of a connectome must be {', '.join(AREAS)}; got {name!r}"
            f"{nearest(str(name), AREAS)}"
        )
    text = (files("wireloom.wiring") / "published" / f"connectome_{name}.csv").read_text("utf-8")
    receivers, senders = np.loadtxt(text.splitlines(), int, delimiter=",", skiprows=1, unpack=True)
    return Wiring.from_edges(AREAS[name], np.stack([senders, receivers], axis=1), directed=True)
