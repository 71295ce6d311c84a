"""The report: one self-contained page to look at, and a wiring drawn on a circle."""

from wireloom.page.document import render
from wireloom.page.drawing import wiring_svg

__all__ = ["render", "wiring_svg"]
