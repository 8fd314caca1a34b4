"""The demonstration: a venue, a real bot that knows nothing of telemetry, and its orders explained."""

from tickspan.demo.report import DemoReport, Operations, Stage, build_report
from tickspan.demo.stage import DemoError, DemoPlan, Performance, Progress, Scene, perform

__all__ = [
    "DemoError",
    "DemoPlan",
    "DemoReport",
    "Operations",
    "Performance",
    "Progress",
    "Scene",
    "Stage",
    "build_report",
    "perform",
]
