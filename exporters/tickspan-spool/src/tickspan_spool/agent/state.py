"""AgentStatus: spool and agent at one moment, as values for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from tickspan_spool.entries import Signal
from tickspan_spool.taps import TapStatistics

from .report import Counts


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process that has a folder in the spool.

    Attributes:
        folder: its name.
        pid: in its own pid namespace.
        service_name: what it calls itself.
        environment: which Python environment it runs in.
        is_alive: whether it still records.
        is_agent: whether it is an agent, with records of its own.
        oldest_age_s: of what it has waiting; 0 when nothing is.
        signals: its ledger.
    """

    folder: str
    pid: int
    service_name: str
    environment: str
    is_alive: bool
    is_agent: bool
    oldest_age_s: float
    signals: Counts


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """One place that the agent sends to.

    Attributes:
        signal: what goes there.
        url: without user information and query.
        protocol: "http/protobuf" or "grpc".
        service_name: whose credentials it is asked with; empty when it needs none.
        breaker: "closed", or how far the way back is.
        is_stuck: a batch waits for its next attempt.
        delivered: items since the agent began.
        dropped: items that it did not take and never will.
        trouble: why the last attempt failed; empty when it did not.
        last_trouble: the latest failure, however long ago.
    """

    signal: Signal
    url: str
    protocol: str
    service_name: str = ""
    breaker: str = "closed"
    is_stuck: bool = False
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    trouble: str = ""
    last_trouble: str = ""


@dataclass(frozen=True, slots=True)
class AgentState:
    """What an agent knows beyond what its files say.

    Attributes:
        pid: in its own pid namespace.
        environment: whose processes it serves.
        version: of tickspan-spool.
        started_unix_ns: when.
        phase: "serving", "draining" or "stopping".
        rss_bytes: its memory.
        destinations: where it sends.
        taps: what looks on.
        last_trouble: the latest failure of the agent itself.
    """

    pid: int
    environment: str
    version: str
    started_unix_ns: int
    phase: str
    rss_bytes: int = 0
    destinations: tuple[DestinationStatus, ...] = ()
    taps: tuple[TapStatistics, ...] = ()
    last_trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the status file and the control socket."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> AgentState:
        """The inverse of `to_json`. Raises TypeError or ValueError for what is none."""
        fields = dict(value)
        destinations = cast("list[dict[str, Any]]", fields.pop("destinations", []))
        taps = cast("list[dict[str, Any]]", fields.pop("taps", []))
        return AgentState(
            **fields,
            destinations=tuple(DestinationStatus(**one) for one in destinations),
            taps=tuple(TapStatistics(**one) for one in taps),
        )


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The whole spool.

    Attributes:
        directory: the spool.
        agents: those that live.
        processes: those that have a folder.
        signals: the ledger of all, with those that are gone.
        oldest_age_s: of what waits.
        size_bytes: of all segments.
        dead_letters: requests that were refused for good and kept.
        last_agents: what ended agents said last, when none lives.
    """

    directory: str
    agents: tuple[AgentState, ...]
    processes: tuple[ProcessStatus, ...]
    signals: Counts
    oldest_age_s: float
    size_bytes: int
    dead_letters: int
    last_agents: tuple[AgentState, ...] = ()

    @property
    def in_spool(self) -> int:
        """Items that wait, over all signals."""
        return sum(count.in_spool for count in self.signals.values())

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "in_spool": self.in_spool}
