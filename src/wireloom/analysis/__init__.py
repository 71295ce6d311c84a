"""What tables of results say about wirings. Free of torch: any table will do."""

from wireloom.analysis.agreement import Agreement, ConsistentRegion, consistent_region, correlate
from wireloom.analysis.biology import Biology, compare_connectomes
from wireloom.analysis.consistency import Consistency, correlate_wirings
from wireloom.analysis.curves import FewEpochs, few_epochs
from wireloom.analysis.effects import Effects, partial_effects
from wireloom.analysis.enough import FewSeeds, FewWirings, few_seeds, few_wirings
from wireloom.analysis.findings import Findings, TableFindings, analyse
from wireloom.analysis.forecast import Forecast, HeldOut, held_out, predict
from wireloom.analysis.parts import Absent
from wireloom.analysis.planning import Power, power
from wireloom.analysis.spot import SweetSpot, sweet_spot

__all__ = [
    "Absent",
    "Agreement",
    "Biology",
    "Consistency",
    "ConsistentRegion",
    "Effects",
    "FewEpochs",
    "FewSeeds",
    "FewWirings",
    "Findings",
    "Forecast",
    "HeldOut",
    "Power",
    "SweetSpot",
    "TableFindings",
    "analyse",
    "compare_connectomes",
    "consistent_region",
    "correlate",
    "correlate_wirings",
    "few_epochs",
    "few_seeds",
    "few_wirings",
    "held_out",
    "partial_effects",
    "power",
    "predict",
    "sweet_spot",
]
