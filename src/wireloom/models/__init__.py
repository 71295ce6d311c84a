"""Networks on wirings, at a fixed budget, one or many at once."""

from wireloom.models.budget import match_widths
from wireloom.models.costs import Cost, cost
from wireloom.models.extraction import extract, strengths
from wireloom.models.making import ARCHITECTURES, Build, build, population
from wireloom.models.members import Member, Population
from wireloom.models.mlp import MLP, MLPShape
from wireloom.models.placement import Place, place

__all__ = [
    "ARCHITECTURES",
    "MLP",
    "Build",
    "Cost",
    "MLPShape",
    "Member",
    "Place",
    "Population",
    "build",
    "cost",
    "extract",
    "match_widths",
    "place",
    "population",
    "strengths",
]
