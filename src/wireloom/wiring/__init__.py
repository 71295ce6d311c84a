"""The value that everything else makes, uses or finds: a wiring. Free of torch."""

from wireloom.wiring.families import complete, ring, ws_flex
from wireloom.wiring.measures import measure
from wireloom.wiring.plane import published_sample, sample_plane
from wireloom.wiring.value import FlexOrigin, Wiring

__all__ = [
    "FlexOrigin",
    "Wiring",
    "complete",
    "measure",
    "published_sample",
    "ring",
    "sample_plane",
    "ws_flex",
]
