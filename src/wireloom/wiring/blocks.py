"""From nodes to channels: a node is a block of a layer's channels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from wireloom.base import InvalidValue


@lru_cache(maxsize=65536)
def block_sizes(channels: int, nodes: int) -> tuple[int, ...]:
    """How many of ``channels`` each of ``nodes`` gets: sizes that differ by one at most.

    The larger ones are spread by a fixed permutation, as in the published code
    (numpy's ``RandomState(1)``), so that layers of equal width agree.

    Raises:
        InvalidValue: if there are more nodes than channels.
    """
    if channels < nodes:
        raise InvalidValue(
            f"`nodes` of a wiring must not exceed the layer's width; got {nodes} nodes, "
            f"width {channels}"
        )
    floor, larger = divmod(channels, nodes)
    sizes = [floor + 1] * larger + [floor] * (nodes - larger)
    return tuple(np.random.RandomState(1).permutation(sizes).tolist())
