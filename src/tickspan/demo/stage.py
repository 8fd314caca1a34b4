"""Puts the demo on: venue, database, Redis, receiver, the bot under `tickspan run`; clears up after."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from tickspan_spool import agent

from tickspan.demo.report import DemoReport, build_report
from tickspan.demo.signals import Signal, Told
from tickspan.demo.signals import tell as tell_signals
from tickspan.instrumentation import redact
from tickspan.received import ReceivedLog, ReceivedMetric, ReceivedSpan, Telemetry
from tickspan.semconv.common import SERVICE_NAME
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.venue import Connect, Truth, fetch_truth

AMOUNTS: Final = {"BTC/USDT": 0.01, "ETH/USDT": 0.1, "SOL/USDT": 1.0}
"""What the bot trades, and how much of it at a time."""
DATABASES: Final = "sqlite+aiosqlite:///bot.db or postgresql+asyncpg://USER@HOST/NAME"
LOOPBACK: Final = "127.0.0.1,localhost"
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 60.0
DRAIN_TIMEOUT_S: Final = 10.0
BOT: Final = "demo-bot"
TROUBLED_BOT: Final = "demo-bot-in-trouble"

_Received = TypeVar("_Received", ReceivedSpan, ReceivedMetric, ReceivedLog)


class DemoError(Exception):
    """The demo cannot start or go on; the text says what to do."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What the user asked for. Without URLs the demo brings its own database and Redis."""

    seconds: float = 10.0
    seed: int = 7
    port: int = 0
    database: str | None = None
    redis: str | None = None
    has_trouble: bool = True
    """Whether a second bot gets into trouble after the first has traded."""
    also_to: str = ""
    """Base URL of a receiver that gets everything too."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A fault of the second bot has been played."""

    planted: Signal


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the bot is."""

    elapsed_s: float
    orders: int
    executions: int
    spans: int


@dataclass(frozen=True, slots=True)
class Performance:
    """The report, and the spans that it was made from."""

    report: DemoReport
    spans: tuple[ReceivedSpan, ...]
    redis: str
    """Which Redis was used, in words."""


Tell = Callable[["Progress | Scene"], None]


def perform(plan: DemoPlan, tell: Tell) -> Performance:
    """Run the demo to its end. Raises `DemoError`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickspan-demo-")))
        server = stack.enter_context(_receiver(plan.port))
        redis_url, redis_words = stack.enter_context(_redis(plan.redis, folder))
        database = plan.database or f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}"
        _check_database(database)
        venue = stack.enter_context(_venue(plan.seed))
        config = {
            "exchange": venue.ccxt_config(),
            "database": database,
            "redis": redis_url,
            "symbols": list(AMOUNTS),
            "amounts": AMOUNTS,
            "seconds": plan.seconds,
        }
        path = folder / "bot.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        spool = stack.enter_context(_spool(folder / "spool"))
        _play(path, server, venue.url, spool, plan, tell)
        signals = _trouble(folder, server, plan, tell) if plan.has_trouble else ()
        report = _report(_truth(venue.url), server, spool, venue, signals)
        return Performance(report, tuple(_of_service(server.spans(), BOT)), redis_words)


def _report(
    truth: Truth, server: OtlpServer, spool: Path, venue: Connect, signals: Sequence[Told]
) -> DemoReport:
    """What came of it, once the agent has delivered what the bot left."""
    agent.drain(spool, DRAIN_TIMEOUT_S)
    ended = agent.status(spool).signals["traces"].ended
    spans, secrets = _of_service(server.spans(), BOT), (venue.api_key, venue.secret)
    return build_report(truth, spans, ended, server.bodies(), secrets, signals)


def _trouble(folder: Path, server: OtlpServer, plan: DemoPlan, tell: Tell) -> tuple[Told, ...]:
    """Let a second bot get into trouble, each kind of it once, and see what is told of it."""
    settings = {
        **_telemetry(server, TROUBLED_BOT, folder / "trouble", plan.also_to),
        # Patience is short here: a demonstration is.
        "TICKSPAN_TRADING_FEED_STALE_S": "1",
        "TICKSPAN_TRADING_UNKNOWN_AFTER_S": "1",
        "TICKSPAN_TRADING_WAITING_S": "1",
        # Each scene's venue numbers its orders anew: what an earlier one had is not to be found.
        "TICKSPAN_TRADING_STORE": "off",
    }
    words = [sys.executable, "-m", "tickspan", "run", "--", sys.executable, "-m", "tickspan.demo.trouble"]
    planted: list[Signal] = []
    with _spool(folder / "trouble") as spool:
        with running(words, clean_environment(settings), is_read=True) as program:
            assert program.process.stdout is not None
            for line in program.process.stdout:
                planted.append(Signal(json.loads(line)["planted"]))
                tell(Scene(planted[-1]))
            if program.process.wait(STOP_TIMEOUT_S) != 0:
                raise DemoError(f"the bot in trouble did not get through: {program.last_words()}")
        agent.drain(spool, DRAIN_TIMEOUT_S)
    told = Telemetry(
        tuple(_of_service(server.spans(), TROUBLED_BOT)),
        tuple(_of_service(server.metrics(), TROUBLED_BOT)),
        tuple(_of_service(server.logs(), TROUBLED_BOT)),
    )
    return tuple(tell_signals(planted, told))


def _of_service(told: Iterable[_Received], name: str) -> list[_Received]:
    return [one for one in told if one.resource.get(SERVICE_NAME) == name]


def _telemetry(server: OtlpServer, service: str, spool: Path, also_to: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
        "OTEL_SERVICE_NAME": service,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "TICKSPAN_SPOOL_DIR": str(spool),
        "TICKSPAN_TRADING_ENVIRONMENT": "simulated",
        # Who looks on sees alarms too.
        **({"TICKSPAN_ENDPOINTS": also_to, "TICKSPAN_ALERTS_FILE": "default"} if also_to else {}),
    }


@contextmanager
def _spool(spool: Path) -> Generator[Path]:
    """A spool of the demo's own; its agent ends with it."""
    try:
        yield spool
    finally:
        agent.stop(spool, STOP_TIMEOUT_S)


@contextmanager
def _receiver(port: int) -> Generator[OtlpServer]:
    try:
        server = OtlpServer(port=port).start()
    except OSError as error:
        raise DemoError(f"--port: {error.strerror or error}") from None
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _venue(seed: int) -> Generator[Connect]:
    """A venue in a process of its own."""
    words = [sys.executable, "-m", "tickspan.testing.venue", "--json", "--port", "0", "--seed", str(seed)]
    with running([*words, "--partials", "0.4,0.6"], clean_environment({}), is_read=True) as venue:
        line = venue.first_line()
        if not line:
            raise DemoError(f"the venue did not start: {venue.last_words()}")
        ready = json.loads(line)
        yield Connect(ready["url"], ready["api_key"], ready["secret"])


@contextmanager
def _redis(url: str | None, folder: Path) -> Generator[tuple[str, str]]:
    """A Redis and what it is: the user's, a real one found on this machine, or one in pure Python."""
    if url is not None:
        _check_redis(url)
        yield url, "the one you named"
        return
    program = shutil.which("redis-server")
    if program is None:
        with _embedded_redis() as embedded:
            yield embedded, "embedded, pure Python"
        return
    port = _free_port()
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running([*words, "--dir", str(folder)], clean_environment({})) as server:
        _wait_for_port(port, server)
        yield f"redis://127.0.0.1:{port}/0", program


@contextmanager
def _embedded_redis() -> Generator[str]:
    from fakeredis import TcpFakeServer  # only where there is no redis-server

    server: Any = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, name="embedded redis", daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _check_redis(url: str) -> None:
    from redis import Redis, RedisError  # the extra `demo` brings it, as it does SQLAlchemy

    try:
        client: Any = Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3)
        with client:
            client.ping()
    except ValueError as error:
        raise DemoError(f"--redis: {error}") from None
    except (RedisError, OSError) as error:
        raise DemoError(f"--redis: cannot use it: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    lines = redact.text(str(error)).splitlines()
    return lines[0] if lines else type(error).__name__


def _check_database(url: str) -> None:
    from sqlalchemy.exc import ArgumentError, InvalidRequestError

    try:
        _connect(url)
    except ModuleNotFoundError as error:
        extra = " (or 'tickspan[postgresql]')" if error.name == "asyncpg" else ""
        raise DemoError(f"--database: needs its driver: pip install {error.name}{extra}") from None
    except (ArgumentError, InvalidRequestError, ValueError) as error:
        raise DemoError(f"--database: {_first_line(error)}; such as {DATABASES}") from None
    except Exception as error:  # noqa: BLE001 - drivers raise their own kinds while connecting
        reason = getattr(error, "orig", None) or error
        raise DemoError(f"--database: cannot connect: {_first_line(reason)}") from None


def _connect(url: str) -> None:
    """Connect once. Raises SQLAlchemy's errors for a wrong URL, and what drivers raise for a wrong place."""
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        # Not by aiosqlite: after a failed connection its thread outlives the event loop, and says so.
        create_engine(engine.url.set(drivername="sqlite"), poolclass=NullPool).connect().close()
        return

    async def connect() -> None:
        try:
            async with asyncio.timeout(5), engine.connect():
                pass
        finally:
            await engine.dispose()

    asyncio.run(connect())


def _play(
    config: Path,
    server: OtlpServer,
    venue_url: str,
    spool: Path,
    plan: DemoPlan,
    tell: Tell,
) -> None:
    """Run the bot under `tickspan run`, telling how far it is once a second."""
    settings = _telemetry(server, BOT, spool, plan.also_to)
    bot = [sys.executable, "-m", "tickspan.demo.bot", str(config)]
    words = [sys.executable, "-m", "tickspan", "run", "--", *bot]
    started = time.monotonic()
    with running(words, clean_environment(settings)) as program:
        process = program.process
        while process.poll() is None:
            elapsed_s = time.monotonic() - started
            if elapsed_s > plan.seconds + STOP_TIMEOUT_S:
                raise DemoError(f"the bot did not end within {plan.seconds + STOP_TIMEOUT_S:.0f} s")
            tell(_progress(elapsed_s, venue_url, server))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        if process.returncode != 0:
            raise DemoError(f"the bot ended with status {process.returncode}: {program.last_words()}")
        tell(_progress(time.monotonic() - started, venue_url, server))


def _progress(elapsed_s: float, venue_url: str, server: OtlpServer) -> Progress:
    truth = _truth(venue_url)
    return Progress(elapsed_s, len(truth.orders), len(truth.executions), len(server.spans()))


def _truth(venue_url: str) -> Truth:
    try:
        return fetch_truth(venue_url)
    except OSError as error:
        raise DemoError(f"the venue does not answer any more: {error}") from None


@dataclass(frozen=True, slots=True)
class _Program:
    """A running program of ours and the file that its words go to: stderr, and stdout unless that is read."""

    process: subprocess.Popen[str]
    errors: IO[str]

    def first_line(self) -> str:
        """The first line it prints; empty when it ended without one, or has none within the time to start."""
        assert self.process.stdout is not None
        is_ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT_S)
        return self.process.stdout.readline() if is_ready else ""

    def last_words(self) -> str:
        """The last lines that it wrote, once it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.errors.seek(0)
        return " | ".join(self.errors.read().splitlines()[-3:]) or "it said nothing"


@contextmanager
def running(
    words: Iterable[str], environment: dict[str, str], *, is_read: bool = False
) -> Generator[_Program]:
    """A program of ours; ended, if it has not, when the context is left. `is_read`: we read its stdout."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own programs, by absolute path
            list(words),
            stdout=subprocess.PIPE if is_read else errors,
            stderr=errors,
            text=True,
            env=environment,
        )
        try:
            yield _Program(process, errors)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def clean_environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment without telemetry settings of the user's, which are not meant for the demo.

    What the demo starts is reached without the user's proxies.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))}
    return {**kept, "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK, **settings}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_port(port: int, program: _Program) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if program.process.poll() is not None or time.monotonic() > end:
            raise DemoError(f"redis-server did not start: {program.last_words()}")
        time.sleep(0.05)
