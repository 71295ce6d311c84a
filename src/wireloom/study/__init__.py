"""Studies: plan, run, resume, and read what came of it."""

from wireloom.study.engine import Local
from wireloom.study.plan import Plan, plan_wirings
from wireloom.study.study import Study

__all__ = ["Local", "Plan", "Study", "plan_wirings"]
