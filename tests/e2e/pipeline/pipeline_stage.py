"""Stage: programs as sub-processes, a receiver that decodes, and the audit of what arrived."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tickspan_spool import agent
from tickspan_spool.agent import AgentStatus
from tickspan_spool.liaison import AgentPlaces, launch
from tickspan_spool.semconv import LOG_RECORD_UID

from tickspan.received import ReceivedLog, ReceivedMetric, ReceivedSpan, Value
from tickspan.testing.otlp import OtlpServer

PROGRAMS = Path(__file__).with_name("programs")
COUNTER = "pipeline.count"
SCOPE = "pipeline"
_PATIENCE_S = 20.0
_PROCESS_S = 60.0

Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Audit:
    """What arrived against what ended.

    Attributes:
        spans: that ended, and arrived exactly once and unchanged.
        logs: likewise.
        missing: ids that never arrived.
        doubled: ids that arrived more than once.
        changed: ids of records that arrived with another name, trace or attribute, or with another's uid.
        unknown: ids that arrived and were not noted as ended.
    """

    spans: int = 0
    logs: int = 0
    missing: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """The pipeline's own ledger of one signal."""

    ended: int
    delivered: int
    in_spool: int
    dropped: int


@dataclass
class Stage:
    """One test's folder, spool, receiver and environment."""

    folder: Path
    base: Mapping[str, str]
    collector: OtlpServer
    variables: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def spool(self) -> Path:
        """The directory of the spool."""
        return self.folder / "spool"

    @property
    def evidence_file(self) -> Path:
        """Where programs note what ended."""
        return self.folder / "evidence"

    def environment(self, **variables: str) -> dict[str, str]:
        """The environment of a program; an empty value takes a variable away."""
        whole = {
            **self.base,
            "HOME": str(self.folder),
            "EVIDENCE": str(self.evidence_file),
            "PYTHONPATH": str(PROGRAMS),
            "TICKSPAN_SPOOL_DIR": str(self.spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint,
            **self.variables,
            **variables,
        }
        return {name: value for name, value in whole.items() if value}

    def run(self, program: str, *words: str, **variables: str) -> Ended:
        """Run `programs/<program>.py` to its end."""
        return self.run_command(*self.command(program, *words), **variables)

    def run_command(self, *command: str, **variables: str) -> Ended:
        """Run a command to its end."""
        return subprocess.run(
            command,
            env=self.environment(**variables),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROCESS_S,
        )

    @contextlib.contextmanager
    def running(self, program: str, *words: str, **variables: str) -> Generator[subprocess.Popen[str]]:
        """Run a program beside the test; killed at the end of the block if it has not ended."""
        with self.running_command(*self.command(program, *words), **variables) as process:
            yield process

    @contextlib.contextmanager
    def running_command(self, *command: str, **variables: str) -> Generator[subprocess.Popen[str]]:
        """As `running`, for any command."""
        process = subprocess.Popen(
            command,
            env=self.environment(**variables),
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    @staticmethod
    def command(program: str, *words: str) -> list[str]:
        """The command line of one of the programs."""
        return [sys.executable, str(PROGRAMS / f"{program}.py"), *words]

    # Evidence --------------------------------------------------------------------------------------------

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """What programs noted so far."""
        lines = self.evidence_file.read_text().splitlines() if self.evidence_file.exists() else []
        return [fact for fact in map(json.loads, lines) if fact["kind"] == kind]

    def await_notes(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until there are so many."""
        wait_until(lambda: len(self.notes(kind)) >= count, f"{count} notes of '{kind}'")
        return self.notes(kind)

    def audit(self) -> Audit:
        """Wait for what ended to arrive, have the agent end, then compare everything."""
        with contextlib.suppress(TimeoutError):  # what is missing is the finding
            self.collector.wait_for(lambda _: not self._missing(), _PATIENCE_S)
        self.end_agent()
        ended = {signal: self._ended(signal) for signal in ("traces", "logs")}
        arrived = {"traces": list(map(_of_span, self.spans())), "logs": list(map(_of_log, self.logs()))}
        return Audit(
            spans=len(ended["traces"].items() & dict(arrived["traces"]).items()),
            logs=len(ended["logs"].items() & dict(arrived["logs"]).items()),
            missing=tuple(self._missing()),
            doubled=tuple(key for signal in arrived for key in _doubled(arrived[signal])),
            changed=(
                *(key for signal in arrived for key in _changed(ended[signal], arrived[signal])),
                *_with_anothers_uid(self.logs()),
            ),
            unknown=tuple(
                key for signal in arrived for key, _ in arrived[signal] if key not in ended[signal]
            ),
        )

    def spans(self) -> list[ReceivedSpan]:
        """What arrived of the programs' own spans."""
        return [span for span in self.collector.spans() if span.scope == SCOPE]

    def logs(self) -> list[ReceivedLog]:
        """What arrived of the programs' own log records."""
        return [record for record in self.collector.logs() if record.scope == SCOPE]

    def counted(self) -> dict[str, int]:
        """The counter's last value by `service.instance.id`."""
        last: dict[tuple[str, int], int] = {}
        for metric in self.counters():
            for point in metric.points:
                last[_instance(metric), point.start_ns] = int(point.value or 0)
        sums: Counter[str] = Counter()
        for (instance, _), value in last.items():
            sums[instance] += value
        return dict(sums)

    def counters(self) -> list[ReceivedMetric]:
        """Each export of the counter."""
        return [metric for metric in self.collector.metrics() if metric.name == COUNTER]

    def await_count(self, total: int) -> dict[str, int]:
        """Wait until the counter's sum over all processes is this; what it is by instance."""
        with contextlib.suppress(TimeoutError):
            self.collector.wait_for(lambda _: sum(self.counted().values()) == total, _PATIENCE_S)
        return self.counted()

    def _missing(self) -> list[str]:
        arrived = {span.span_id for span in self.spans()} | {_identity(record) for record in self.logs()}
        return [key for signal in ("traces", "logs") for key in self._ended(signal) if key not in arrived]

    def _ended(self, signal: str) -> dict[str, tuple[Any, ...]]:
        return {
            fact["id"]: (fact.get("trace_id"), fact["name"], _frozen(fact["attributes"]))
            for fact in self.notes(signal)
        }

    # The agent and its spool -----------------------------------------------------------------------------

    def status(self) -> AgentStatus:
        """What the spool holds, and which agents live."""
        return agent.status(self.spool)

    def account(self, signal: str) -> Account:
        """The ledger of a signal over all processes, living and gone."""
        ledger = self.status().signals[cast("Any", signal)]
        return Account(ledger.ended, ledger.delivered, ledger.in_spool, sum(ledger.dropped.values()))

    def agent_pid(self) -> int:
        """The agent that lives; waits for one."""
        wait_until(lambda: bool(self.status().agents), "an agent")
        return self.status().agents[0].pid

    def end_agent(self) -> None:
        """Have the agent send what it has, and end."""
        agent.stop(self.spool, _PATIENCE_S)

    def start_agent(self) -> None:
        """As the next process that records would."""
        self.as_if_a_minute_had_passed()
        launch.ensure(AgentPlaces.of(self.spool))

    def kill_agent(self) -> None:
        """As a machine that runs out of memory would."""
        pid = self.agent_pid()
        os.kill(pid, 9)
        wait_until(lambda: not _is_running(pid), "the agent's death")

    def log_of_agents(self) -> str:
        """What the agents of this spool said."""
        return "\n".join(file.read_text() for file in self.spool.glob("v1/agents/*.log"))

    def as_if_a_minute_had_passed(self) -> None:
        """Let the next process start an agent at once: there is a pause between two starts."""
        file = AgentPlaces.of(self.spool).launching
        if file.exists():
            then = time.time() - 60
            os.utime(file, (then, then))


def wait_until(claim: Callable[[], bool], what: str, timeout_s: float = _PATIENCE_S) -> None:
    """Ask until it is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not claim():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _of_span(span: ReceivedSpan) -> tuple[str, tuple[Any, ...]]:
    return span.span_id, (span.trace_id, span.name, _frozen(span.attributes))


def _of_log(record: ReceivedLog) -> tuple[str, tuple[Any, ...]]:
    written = {key: value for key, value in record.attributes.items() if key != LOG_RECORD_UID}
    return _identity(record), (None, record.body, _frozen(written))


def _identity(record: ReceivedLog) -> str:
    return str(record.attributes.get("work.id"))


def _frozen(attributes: Mapping[str, Any]) -> tuple[tuple[str, str, Value], ...]:
    """Attributes with the types of their values: 1, 1.0 and True are equal, and not the same."""
    plain = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in attributes.items()  # pyright: ignore[reportUnknownArgumentType]
    }
    return tuple(sorted((key, type(value).__name__, value) for key, value in plain.items()))


def _doubled(arrived: Sequence[tuple[str, Any]]) -> Iterable[str]:
    return [key for key, times in Counter(key for key, _ in arrived).items() if times > 1]


def _changed(ended: Mapping[str, Any], arrived: Sequence[tuple[str, Any]]) -> Iterable[str]:
    return [key for key, content in arrived if key in ended and ended[key] != content]


def _with_anothers_uid(records: Sequence[ReceivedLog]) -> Iterable[str]:
    """What waited in memory alone has none."""
    uids = {(_identity(record), record.attributes.get(LOG_RECORD_UID)) for record in records}
    times = Counter(uid for _, uid in uids)
    return [key for key, uid in uids if uid is not None and times[uid] > 1]


def _instance(metric: ReceivedMetric) -> str:
    return str(metric.resource["service.instance.id"])
