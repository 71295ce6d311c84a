"""The report: one self-contained page to look at; wirings and their families as pictures."""

from wireloom.page.document import render
from wireloom.page.drawing import wiring_svg
from wireloom.page.matrix import matrix_svg
from wireloom.page.plane import plane_svg
from wireloom.page.sheet import sheet

__all__ = ["matrix_svg", "plane_svg", "render", "sheet", "wiring_svg"]
