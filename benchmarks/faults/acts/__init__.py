"""Acts: what a workload does. Each is a function of a `Stage`, known by its name."""

from . import ends, forks, loads, users, values
from .stage import ACTS, Act, Stage, act

__all__ = ["ACTS", "Act", "Stage", "act", "ends", "forks", "loads", "users", "values"]
