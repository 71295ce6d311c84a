"""The value that everything else makes, uses or finds: a wiring. Free of torch."""

from wireloom.wiring.biological import Kin, biological_wirings, kin
from wireloom.wiring.blocks import block_sizes
from wireloom.wiring.connectomes import AREAS, connectome
from wireloom.wiring.coverage import Span, span
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
from wireloom.wiring.measures import BUILT_IN, measure, register_measure
from wireloom.wiring.moves import OutOfReach, steer
from wireloom.wiring.nulls import degree_matched
from wireloom.wiring.paper import PaperSample, sample_as_published
from wireloom.wiring.plane import sample_plane, spread
from wireloom.wiring.published_sets import published_sample
from wireloom.wiring.value import FlexOrigin, Wiring

__all__ = [
    "AREAS",
    "BUILT_IN",
    "FlexOrigin",
    "Kin",
    "OutOfReach",
    "PaperSample",
    "Span",
    "Wiring",
    "barabasi_albert",
    "biological_wirings",
    "block_sizes",
    "complete",
    "connectome",
    "degree_matched",
    "erdos_renyi",
    "expander",
    "harary",
    "kin",
    "measure",
    "published_sample",
    "register_measure",
    "ring",
    "sample_as_published",
    "sample_plane",
    "span",
    "spread",
    "steer",
    "watts_strogatz",
    "ws_flex",
]
