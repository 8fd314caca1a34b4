"""AgentOptions: how patient the agent is. The defaults are for production, other values for tests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "TICKSPAN_AGENT_"


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Times and bounds of one agent.

    Attributes:
        linger_s: without any living process, before it ends.
        report_every_s: between two reports of its own metrics.
        stop_budget_s: to send what is left after it was told to end.
        bound_every_s: between two looks at the size of the spool.
        max_bytes: of the spool.
        adopts_all: it serves processes of every environment that has no agent, and does not end by itself:
            it runs as a service, and nobody would start it again.
    """

    linger_s: float = 30.0
    report_every_s: float = 60.0
    stop_budget_s: float = 5.0
    bound_every_s: float = 5.0
    max_bytes: int = 512 << 20
    adopts_all: bool = False

    @staticmethod
    def from_environment(environ: Mapping[str, str], *, adopts_all: bool = False) -> AgentOptions:
        """As `TICKSPAN_SPOOL_MAX_BYTES` and `TICKSPAN_AGENT_{LINGER,REPORT,STOP,BOUND}_S` say.

        A value that cannot be used is taken as unset.
        """
        default = AgentOptions()
        return AgentOptions(
            linger_s=_seconds(environ, "LINGER_S", default.linger_s),
            report_every_s=_seconds(environ, "REPORT_S", default.report_every_s),
            stop_budget_s=_seconds(environ, "STOP_S", default.stop_budget_s),
            bound_every_s=_seconds(environ, "BOUND_S", default.bound_every_s),
            max_bytes=_bytes(environ, default.max_bytes),
            adopts_all=adopts_all,
        )


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        seconds = float(environ.get(PREFIX + name, ""))
    except ValueError:
        return default
    return seconds if math.isfinite(seconds) and seconds >= 0 else default


def _bytes(environ: Mapping[str, str], default: int) -> int:
    text = environ.get("TICKSPAN_SPOOL_MAX_BYTES", "").strip()
    return int(text) if text.isdecimal() and int(text) else default
