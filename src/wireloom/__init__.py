"""Wireloom: the wiring of a neural network as a value.

Draw wirings and measure them, build networks on them at a fixed budget, train thousands of such
networks at once, and find the region where they do best. Names load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wireloom import data, nn
    from wireloom.analysis import (
        Effects,
        Findings,
        Forecast,
        Power,
        SweetSpot,
        analyse,
        consistent_region,
        correlate,
        correlate_wirings,
        few_epochs,
        few_seeds,
        few_wirings,
        partial_effects,
        power,
        predict,
        sweet_spot,
    )
    from wireloom.base import InvalidValue, WireloomError
    from wireloom.compute import Pattern
    from wireloom.models import (
        Cost,
        Place,
        Population,
        build,
        cost,
        export,
        extract,
        latency,
        load,
        place,
        population,
        rewire,
        rewired,
        save,
        strengths,
        to_torch,
    )
    from wireloom.study import Local, Plan, Study, plan_wirings
    from wireloom.training import RECIPES, Optimiser, Recipe, Result, fit
    from wireloom.wiring import (
        OutOfReach,
        PaperSample,
        Span,
        Wiring,
        barabasi_albert,
        biological_wirings,
        complete,
        connectome,
        degree_matched,
        erdos_renyi,
        expander,
        harary,
        measure,
        published_sample,
        register_measure,
        ring,
        sample_as_published,
        sample_plane,
        span,
        spread,
        steer,
        watts_strogatz,
        ws_flex,
    )

_ROOMS = {
    "base": ("InvalidValue", "WireloomError"),
    "wiring": (
        "OutOfReach",
        "PaperSample",
        "Span",
        "Wiring",
        "barabasi_albert",
        "biological_wirings",
        "complete",
        "connectome",
        "degree_matched",
        "erdos_renyi",
        "expander",
        "harary",
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
    ),
    "compute": ("Pattern",),
    "models": (
        "Cost",
        "Place",
        "Population",
        "build",
        "cost",
        "export",
        "extract",
        "latency",
        "load",
        "place",
        "population",
        "rewire",
        "rewired",
        "save",
        "strengths",
        "to_torch",
    ),
    "training": ("RECIPES", "Optimiser", "Recipe", "Result", "fit"),
    "study": ("Local", "Plan", "Study", "plan_wirings"),
    "analysis": (
        "Effects",
        "Findings",
        "Forecast",
        "Power",
        "SweetSpot",
        "analyse",
        "consistent_region",
        "correlate",
        "correlate_wirings",
        "few_epochs",
        "few_seeds",
        "few_wirings",
        "partial_effects",
        "power",
        "predict",
        "sweet_spot",
    ),
}
_DOORS = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "RECIPES",
    "Cost",
    "Effects",
    "Findings",
    "Forecast",
    "InvalidValue",
    "Local",
    "Optimiser",
    "OutOfReach",
    "PaperSample",
    "Pattern",
    "Place",
    "Plan",
    "Population",
    "Power",
    "Recipe",
    "Result",
    "Span",
    "Study",
    "SweetSpot",
    "WireloomError",
    "Wiring",
    "analyse",
    "barabasi_albert",
    "biological_wirings",
    "build",
    "complete",
    "connectome",
    "consistent_region",
    "correlate",
    "correlate_wirings",
    "cost",
    "data",
    "degree_matched",
    "erdos_renyi",
    "expander",
    "export",
    "extract",
    "few_epochs",
    "few_seeds",
    "few_wirings",
    "fit",
    "harary",
    "latency",
    "load",
    "measure",
    "nn",
    "partial_effects",
    "place",
    "plan_wirings",
    "population",
    "power",
    "predict",
    "published_sample",
    "register_measure",
    "rewire",
    "rewired",
    "ring",
    "sample_as_published",
    "sample_plane",
    "save",
    "span",
    "spread",
    "steer",
    "strengths",
    "sweet_spot",
    "to_torch",
    "watts_strogatz",
    "ws_flex",
]


def __getattr__(name: str) -> object:
    if name in ("data", "nn"):
        return importlib.import_module(f"wireloom.{name}")
    if name not in _DOORS:
        from wireloom.base import nearest

        raise AttributeError(f"module 'wireloom' has no attribute '{name}'{nearest(name, __all__)}")
    return getattr(importlib.import_module(f"wireloom.{_DOORS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
