"""The report: one self-contained page to look at; wirings and their families as pictures."""

from wireloom.page.document import render
from wireloom.page.drawing import wiring_svg
from wireloom.page.plane import plane_svg

__all__ = ["plane_svg", "render", "wiring_svg"]
