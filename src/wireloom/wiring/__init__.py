"""The value that everything else makes, uses or finds: a wiring. Free of torch."""

from wireloom.wiring.families import (
    barabasi_albert,
    complete,
    erdos_renyi,
    expander,
    harary,
    ring,
    watts_strogatz,
    ws_flex,
)
from wireloom.wiring.measures import measure, register_measure
from wireloom.wiring.plane import published_sample, sample_plane
from wireloom.wiring.value import FlexOrigin, Wiring

__all__ = [
    "FlexOrigin",
    "Wiring",
    "barabasi_albert",
    "complete",
    "erdos_renyi",
    "expander",
    "harary",
    "measure",
    "published_sample",
    "register_measure",
    "ring",
    "sample_plane",
    "watts_strogatz",
    "ws_flex",
]
