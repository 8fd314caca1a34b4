"""Rules about how an application uses its database, seen in its traces."""

from tickspan.analysis.traces.call import Calls, CodeLocation, DatabaseCall
from tickspan.analysis.traces.connections import Connections
from tickspan.analysis.traces.examination import Examination, FaultyRule
from tickspan.analysis.traces.latencies import Latencies
from tickspan.analysis.traces.rules import RULES
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.span import CLIENT, WANTED, SeenSpan, Value
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.analysis.traces.window import Window, WindowStatistics

__all__ = [
    "CLIENT",
    "RULES",
    "WANTED",
    "Calls",
    "CodeLocation",
    "Connections",
    "DatabaseCall",
    "Examination",
    "FaultyRule",
    "Latencies",
    "SeenSpan",
    "Sighting",
    "Thresholds",
    "Trace",
    "Value",
    "Window",
    "WindowStatistics",
]
