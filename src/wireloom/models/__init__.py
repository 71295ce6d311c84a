"""Networks on wirings, at a fixed budget, one or many at once."""

from wireloom.models.architectures import ARCHITECTURES, Architecture, Shape
from wireloom.models.budget import match_widths
from wireloom.models.costs import Cost, cost
from wireloom.models.exporting import export
from wireloom.models.extraction import extract, strengths
from wireloom.models.files import load, save
from wireloom.models.making import Build, build, population
from wireloom.models.member import Member
from wireloom.models.members import Population
from wireloom.models.net import Net
from wireloom.models.placement import Place, place
from wireloom.models.plain import to_torch
from wireloom.models.rewiring import Rewired, Rewiring, rewire, rewired
from wireloom.models.timing import latency

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Build",
    "Cost",
    "Member",
    "Net",
    "Place",
    "Population",
    "Rewired",
    "Rewiring",
    "Shape",
    "build",
    "cost",
    "export",
    "extract",
    "latency",
    "load",
    "match_widths",
    "place",
    "population",
    "rewire",
    "rewired",
    "save",
    "strengths",
    "to_torch",
]
