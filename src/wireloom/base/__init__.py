"""What every room needs: errors, files written whole, keyed random streams."""

from wireloom.base.checks import is_whole
from wireloom.base.errors import InvalidValue, WireloomError, nearest
from wireloom.base.files import write_whole
from wireloom.base.streams import normal, permutation, uniform
from wireloom.base.system import cores

__all__ = [
    "InvalidValue",
    "WireloomError",
    "cores",
    "is_whole",
    "nearest",
    "normal",
    "permutation",
    "uniform",
    "write_whole",
]
