"""Any torch model on a wiring, at the widths that it has or at a matched budget."""

from wireloom.models.rewiring.model import rewire, rewired
from wireloom.models.rewiring.table import Rewired, Rewiring

__all__ = ["Rewired", "Rewiring", "rewire", "rewired"]
