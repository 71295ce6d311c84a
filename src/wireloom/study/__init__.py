"""Studies: plan, run, resume, and read what came of it."""

from wireloom.study.analysis import SweetSpot, sweet_spot
from wireloom.study.engine import Local
from wireloom.study.plan import Plan, plan_wirings
from wireloom.study.study import Study

__all__ = ["Local", "Plan", "Study", "SweetSpot", "plan_wirings", "sweet_spot"]
