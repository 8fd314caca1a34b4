"""Runner: one case with one contender: network, disk, process, outrage, healing, evidence."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

from . import disks, ours, outside
from .case import Case, Damage, Endpoint, Outrage
from .network import certificates
from .network.certificates import Certificates
from .network.grpc_server import GrpcServer
from .network.proxy import Proxy
from .network.server import Server
from .saboteur import STATUS as SABOTAGED
from .sink import Sink
from .telemetry import Contender
from .verdict import Accounts, Evidence, Verdict, judge, skipped

PROCESS_S: Final = 25.0
"""A workload that has not ended by then is killed and has failed."""
_MOST_STEPS: Final = 100
_SURVIVALS: Final = 2
_LEDGER_S: Final = 2.5
_QUIET_S: Final = 0.4
_POLL_S: Final = 0.1
_LOOK_EVERY_S: Final = 1.0
_ALONE_S: Final = 1.5
"""After so long without a helper process, what is in the spool waits for the next start of a program."""
_FIRST_BYTES: Final = 100
_BENCHMARKS: Final = Path(__file__).parents[1]
_TRUST: Final = frozenset({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"})
"""Stock lets these replace the certificate that it was given: only the case about that sets one."""
_EXPORT: Final = {
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BSP_EXPORT_TIMEOUT": "1000",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_EXPORT_TIMEOUT": "1000",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "OTEL_METRIC_EXPORT_TIMEOUT": "1000",
}
"""Short for all contenders alike, so that an outage of a second is one."""


@dataclass
class _Run:
    """What one run has set up."""

    case: Case
    contender: Contender
    folder: Path
    spool: Path
    sink: Sink
    server: Server | GrpcServer
    proxy: Proxy
    environment: dict[str, str]
    draws: random.Random
    agent_mib: float = 0.0
    trouble: list[str] = field(default_factory=list[str])
    filler: Path | None = None
    has_restarted: bool = False

    @property
    def ledger(self) -> Path:
        """The outside one."""
        return self.folder / "ledger"


@dataclass(frozen=True, slots=True)
class _End:
    """How the workload ended."""

    status: int | None
    at: float
    stdout_bytes: int = 0
    holds_output: bool = False


def run(case: Case, contender: Contender, seed: int) -> Verdict:
    """Run it; the verdict. A fault of the harness itself raises."""
    reason = missing(case, contender) or contender.missing
    if reason:
        return skipped(reason)
    begun = time.monotonic()
    draws = random.Random(f"{seed} {case.name}")  # noqa: S311 - moments, no secrets
    with _prepared(case, contender, draws) as prepared:
        end = _each_step(prepared) if case.outrage is Outrage.EACH_STEP else _once(prepared)
        evidence = _evidence(prepared, end)
        rules = replace(case.rules, judges=()) if contender.name.startswith("none") else case.rules
        verdict = judge(rules, evidence, is_ours=contender.is_ours)
    return replace(verdict, took_s=round(time.monotonic() - begun, 1))


def missing(case: Case, contender: Contender) -> str:
    """Why the case cannot run here, or makes no sense for this contender; empty when it can."""
    if case.only and contender.name not in case.only and not (contender.is_ours and "ours" in case.only):
        return "not about this contender"
    if "root" in case.needs and os.geteuid() != 0:
        return "needs root"
    if disks.needs_mount(case.disk) and not disks.can_mount():
        return "needs the right to mount a tmpfs"
    if case.endpoint is Endpoint.TLS and shutil.which("openssl") is None:
        return "needs openssl"
    if contender.name.endswith("-grpc") != (case.endpoint is Endpoint.GRPC):
        return "about another protocol"
    modules = (need for need in case.needs if need != "root")
    absent = next((module for module in modules if not _is_installed(module)), "")
    return f"{absent} is not installed" if absent else ""


@cache
def _is_installed(module: str) -> bool:
    command = [sys.executable, "-c", f"import {module}"]
    environment = {**os.environ, "PYTHONPATH": _path()}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


@contextmanager
def _prepared(case: Case, contender: Contender, draws: random.Random) -> Generator[_Run]:
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True))
        )
        spool = stack.enter_context(disks.prepared(case.disk, folder, draws))
        keys = certificates.make(_made(folder / "keys")) if case.endpoint is Endpoint.TLS else None
        tls = keys.contexts(case.certificate) if keys is not None else None
        sink = Sink()
        server = stack.enter_context(_server(case, sink, tls))
        proxy = stack.enter_context(Proxy(server.address, case.link))
        environment = _environment(case, contender, folder, spool, proxy.port, keys)
        stack.callback(lambda: ours.end(ours.helpers(spool)))
        yield _Run(case, contender, folder, spool, sink, server, proxy, environment, draws)


def _server(case: Case, sink: Sink, tls: Callable[[float], ssl.SSLContext] | None) -> Server | GrpcServer:
    if case.endpoint is Endpoint.GRPC:
        return GrpcServer(sink.take, case.script)
    return Server(sink.take, case.script, tls)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _environment(
    case: Case, contender: Contender, folder: Path, spool: Path, port: int, keys: Certificates | None
) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "TICKSPAN_", "PYTHON", "FAULTS_"))
        and not name.lower().endswith("_proxy")
        and name not in _TRUST
    }
    endpoint = {
        Endpoint.GRPC: f"http://127.0.0.1:{port}",
        Endpoint.PROXY: f"http://127.0.0.1:{port}",
        Endpoint.TLS: f"https://127.0.0.1:{port}",
        Endpoint.UNKNOWN_HOST: f"http://collector.invalid:{port}",
        Endpoint.NOT_HTTP: "nonsense://127.0.0.1",
    }[case.endpoint]
    trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(keys.authority)} if keys is not None else {}
    return {
        **inherited,
        **_EXPORT,
        "PYTHONPATH": _path(),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "TICKSPAN_SPOOL_DIR": str(spool),
        "FAULTS_LEDGER": str(folder / "ledger"),
        "FAULTS_CONTENDER": contender.name,
        **trusted,
        **dict(contender.environment),
        **case.environment,
    }


def _path() -> str:
    """Where a workload imports from, before what is installed; `FAULTS_OVERLAY` adds folders."""
    return os.pathsep.join(filter(None, (str(_BENCHMARKS), os.environ.get("FAULTS_OVERLAY", ""))))


def _once(prepared: _Run) -> _End:
    """The workload, then a network that works, then what may come after the process."""
    case = prepared.case
    end = _workload(prepared, case.act, case.settings, _outrage(prepared))
    if case.damage is not Damage.NONE and prepared.contender.is_ours:
        _damage(prepared)
    _heal(prepared)
    if case.restarts:
        _workload(prepared, "several", {"count": 20}, None)
    _await_arrival(prepared)
    return end


def _damage(prepared: _Run) -> None:
    """The helper dies with the process, then the files suffer, then the program starts again."""
    ours.end(ours.helpers(prepared.spool))
    if not ours.damage(prepared.spool, prepared.case.damage, prepared.draws):
        prepared.trouble.append("there was no file to damage")


def _each_step(prepared: _Run) -> _End:
    """Die at the first step, start again and die at the second, and so on until the process survives.

    Twice: threads make their calls in another order each time.
    """
    end, survived = _End(None, 0.0), 0
    for number in range(1, _MOST_STEPS):
        side = "after" if number % 2 else "before"
        prepared.environment |= {"FAULTS_STEP": str(number), "FAULTS_STEP_SIDE": side}
        end = _workload(prepared, prepared.case.act, prepared.case.settings, None)
        survived += end.status != SABOTAGED
        if survived == _SURVIVALS:
            break
    else:
        prepared.trouble.append(f"has not survived {_MOST_STEPS} steps")
    for name in ("FAULTS_STEP", "FAULTS_STEP_SIDE"):
        prepared.environment.pop(name, None)
    _heal(prepared)
    _await_arrival(prepared)
    return end


def _heal(prepared: _Run) -> None:
    prepared.proxy.heal()
    prepared.server.heal()
    if prepared.filler is not None:
        prepared.filler.unlink(missing_ok=True)


def _workload(
    prepared: _Run, act: str, settings: Mapping[str, object], outrage: Callable[[int], None] | None
) -> _End:
    """Run the process to its end, with whatever befalls it."""
    command = [sys.executable, "-m", "faults.work", prepared.contender.name, act, json.dumps(dict(settings))]
    with (prepared.folder / "stderr").open("ab") as stderr:
        process = subprocess.Popen(
            command, env=prepared.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        )
    thread = threading.Thread(target=_meanwhile, args=(prepared, process.pid, outrage), daemon=True)
    thread.start()
    status = _waited(process)
    at = time.monotonic()
    printed, holds = _rest_of_output(process)
    thread.join(10.0)
    return _End(status, at, printed, holds)


def _meanwhile(prepared: _Run, pid: int, outrage: Callable[[int], None] | None) -> None:
    """A thread: the clocks of the faults start with the first record."""
    _await_records(prepared, pid)
    prepared.proxy.begin()
    prepared.server.begin()
    if outrage is not None:
        outrage(pid)


def _waited(process: subprocess.Popen[bytes]) -> int | None:
    deadline = time.monotonic() + PROCESS_S
    while time.monotonic() < deadline:
        status = process.poll()
        if status is not None:
            return status
        time.sleep(0.01)
    process.kill()
    process.wait()
    return None


def _rest_of_output(process: subprocess.Popen[bytes]) -> tuple[int, bool]:
    """What it had printed, and whether somebody else still holds the pipe a second later."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    printed, deadline = 0, time.monotonic() + 1.0
    try:
        while time.monotonic() < deadline:
            try:
                piece = os.read(descriptor, 65536)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            if not piece:
                return printed, False
            printed += len(piece)
        return printed, True
    finally:
        process.stdout.close()


def _outrage(prepared: _Run) -> Callable[[int], None] | None:
    actions: dict[Outrage, Callable[[int], None]] = {
        Outrage.KILL: lambda pid: _kill(prepared, pid, 9),
        Outrage.TERMINATE: lambda pid: _kill(prepared, pid, 15),
        Outrage.KILL_AGENT: lambda _pid: _trouble_agent(prepared, 9),
        Outrage.STOP_AGENT: lambda _pid: _trouble_agent(prepared, 19),
        Outrage.REMOVE_SPOOL: lambda _pid: _remove_spool(prepared),
        Outrage.FILL_DISK: lambda _pid: _fill_disk(prepared),
    }
    return actions.get(prepared.case.outrage)


def _await_records(prepared: _Run, pid: int) -> None:
    """Until the workload has recorded something, or is gone."""
    deadline = time.monotonic() + PROCESS_S
    while time.monotonic() < deadline and ours.is_alive(pid):
        if prepared.ledger.exists() and prepared.ledger.stat().st_size > _FIRST_BYTES:
            return
        time.sleep(0.005)


def _kill(prepared: _Run, pid: int, signal: int) -> None:
    """At a moment that the seed chooses, while it records."""
    time.sleep(prepared.draws.uniform(0.0, 1.0))
    with contextlib.suppress(OSError):
        os.kill(pid, signal)


def _trouble_agent(prepared: _Run, signal: int) -> None:
    for _ in range(4):
        time.sleep(prepared.draws.uniform(0.1, 0.6))
        for pid in _agents(prepared):
            with contextlib.suppress(OSError):
                os.kill(pid, signal)
    if signal == 19:
        time.sleep(0.5)
        for pid in _agents(prepared):
            with contextlib.suppress(OSError):
                os.kill(pid, 18)


def _agents(prepared: _Run) -> list[int]:
    """Helpers that are not the workload."""
    return [pid for pid in ours.helpers(prepared.spool) if b"faults.work" not in ours.command_of(pid)]


def _remove_spool(prepared: _Run) -> None:
    time.sleep(0.5)
    shutil.rmtree(prepared.spool, ignore_errors=True)


def _fill_disk(prepared: _Run) -> None:
    time.sleep(0.3)
    prepared.filler = disks.fill(prepared.spool)
    time.sleep(1.0)
    prepared.filler.unlink(missing_ok=True)


def _await_arrival(prepared: _Run) -> None:
    """Until everything is there, or patience ends; then a moment more, for what comes twice."""
    patience_s = prepared.case.patience_s if prepared.contender.keeps else 0.2
    if (
        not _arrives(prepared, min(patience_s, _ALONE_S))
        and prepared.contender.keeps
        and not _agents(prepared)
    ):
        prepared.has_restarted = True
        _workload(prepared, "start again", {}, None)
    _arrives(prepared, patience_s)
    time.sleep(_QUIET_S if prepared.contender.keeps else 0.1)


def _arrives(prepared: _Run, patience_s: float) -> bool:
    """Whether everything is there in that time; where some may be lost: whether nothing waits any more."""
    deadline = time.monotonic() + patience_s
    looked_at = time.monotonic()
    while time.monotonic() < deadline:
        _note_agent(prepared)
        if _is_complete(prepared):
            return True
        if prepared.case.rules.lost and time.monotonic() > looked_at + _LOOK_EVERY_S:
            if _is_empty(prepared):
                return True
            looked_at = time.monotonic()
        time.sleep(_POLL_S)
    return False


def _is_complete(prepared: _Run) -> bool:
    facts = outside.read_file(prepared.ledger)
    is_counted = "metrics" not in prepared.case.rules.judges or prepared.sink.counted() == facts.counted
    return is_counted and not prepared.sink.missing(facts.ended)


def _is_empty(prepared: _Run) -> bool:
    """Whether the spool of ours is."""
    if not prepared.contender.is_ours:
        return False
    try:
        accounts = ours.accounts(prepared.environment)
    except ours.StatusError:
        return False
    return not any(entry.in_spool for entry in accounts.values())


def _note_agent(prepared: _Run) -> None:
    if prepared.contender.is_ours:
        peaks = (ours.peak_mib(pid) for pid in _agents(prepared))
        prepared.agent_mib = max((prepared.agent_mib, *peaks))


def _evidence(prepared: _Run, end: _End) -> Evidence:
    accounts = _accounts(prepared)
    facts = outside.read_file(prepared.ledger)
    return Evidence(
        facts=facts,
        arrived=prepared.sink.arrived,
        others=prepared.sink.others,
        counted=prepared.sink.counted(),
        changed=len(prepared.sink.changed),
        unreadable=prepared.server.unreadable,
        status=end.status,
        exit_s=_exit_s(facts, end),
        has_restarted=prepared.has_restarted,
        stderr=(prepared.folder / "stderr").read_text(errors="replace"),
        stdout_bytes=end.stdout_bytes,
        holds_output=end.holds_output,
        accounts=accounts,
        agent_mib=prepared.agent_mib,
        trouble="; ".join(prepared.trouble),
    )


def _exit_s(facts: outside.Facts, end: _End) -> float | None:
    """From the last end of work before the process was gone."""
    before = [moment for moment in facts.end_of_main.values() if moment <= end.at]
    return end.at - max(before) if before else None


def _accounts(prepared: _Run) -> dict[str, Accounts] | None:
    """Ours only; a ledger that moves is read again until it rests."""
    if not prepared.contender.is_ours or not prepared.case.rules.has_ledger:
        return None
    try:
        accounts = ours.accounts(prepared.environment)
        deadline = time.monotonic() + _LEDGER_S
        while not _is_settled(prepared, accounts) and time.monotonic() < deadline:
            time.sleep(0.3)
            accounts = ours.accounts(prepared.environment)
    except ours.StatusError as error:
        prepared.trouble.append(str(error))
        return None
    return accounts


def _is_settled(prepared: _Run, accounts: Mapping[str, Accounts]) -> bool:
    """Whether nothing moves between the spool, the totals and the sink any more."""
    arrived = prepared.sink.arrived
    return not any(entry.in_spool for entry in accounts.values()) and all(
        entry.delivered == len(arrived[signal]) + prepared.sink.others[signal]
        for signal, entry in accounts.items()
        if signal in arrived
    )
