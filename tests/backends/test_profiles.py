"""Profiles of real programs: kept when they are killed, and in a real collector what they were when sent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import agent

from scripts.collector import Collector, running_collector
from scripts.servers import free_port
from tickspan.profiler.encoding.pprof import read_pprof
from tickspan.profiler.shelf import shelved

pytestmark = pytest.mark.backends

_HERE = Path(__file__).parent
_GATE = "service.profilesSupport"
_PROGRAM = """
import asyncio, os, pathlib, signal, time, tickspan
from opentelemetry import trace
tickspan.init({}, service_name="bot")
tracer = trace.get_tracer("bot")
def price(until):
    while time.monotonic() < until:
        sum(range(500))
async def order():
    with tracer.start_as_current_span("order") as span:
        with tracer.start_as_current_span("pricing"):
            price(time.monotonic() + 0.7)
    return span
for _ in range(4 if os.environ["TICKSPAN_PROFILER_MODE"] == "continuous" else 20):  # a row a second
    span = asyncio.run(order())
    profile_id = span.attributes.get("tickspan.profile.id")
    if profile_id:
        break
print(f"{span.get_span_context().trace_id:032x}", profile_id, flush=True)
if os.environ.get("BOT_IS_KILLED"):
    agents = pathlib.Path(os.environ["TICKSPAN_SPOOL_DIR"], "v1", "agents")
    while not list(agents.glob("*.log")):  # else the next program starts one
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""On a busy machine, without compiled modules, an order may leave no sample that is surely its own."""


class Bot:
    """A program that is sampled, its spool, and the collector that it sends to."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.spool = folder / "spool"
        packages = folder / "packages"
        _install_tap(packages)
        self._environment = {
            **environment,
            "PYTHONPATH": str(packages),
            "TICKSPAN_SPOOL_DIR": str(self.spool),
            "TICKSPAN_PROFILER_EXPORT": "otlp",
            "TICKSPAN_PROFILER_HZ": "50",
            "TICKSPAN_PROFILER_CPU_BUDGET": "0.5",
            "TICKSPAN_PROFILER_SLOW_S": "0.2",
        }

    def run(self, endpoint: str, mode: str, status: int = 0, **variables: str) -> list[str]:
        """Run it to its end, which is to have this status; what it printed."""
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "TICKSPAN_PROFILER_MODE": mode, **variables}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**self._environment, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        return done.stdout.split()


def _install_tap(packages: Path) -> None:
    """So that the agent finds the tap of this checkout, whenever it was installed."""
    folder = packages / "profiles_tap-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: profiles-tap\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[tickspan_tap]\nprofiles = tickspan.profiler.tap:ProfileTap\n")


@pytest.fixture
def bot(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Bot]:
    made = Bot(tmp_path, clean_environment)
    yield made
    agent.stop(made.spool)


@pytest.fixture
def start(otelcol: Path, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts a collector with a configuration of these tests."""
    with ExitStack() as stack:

        def start_it(name: str, gates: str = "") -> Collector:
            return stack.enter_context(running_collector(otelcol, _HERE / name, tmp_path, gates=gates))

        yield start_it


def until(holds: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline_s, found
        time.sleep(0.05)
    return found


def written(collector: Collector) -> list[dict[str, Any]]:
    """The requests in its file that hold profiles."""
    lines = collector.output.read_text().splitlines() if collector.output.exists() else []
    return [json.loads(line) for line in lines if "resourceProfiles" in line and line.endswith("}")]


def told(request: dict[str, Any]) -> tuple[dict[str, str], str, Counter[tuple[Any, ...]]]:
    """Resource, id of the profile, and wall time by stack, thread, state and span."""
    tables = request["dictionary"]
    texts = tables["stringTable"]

    def value(one: dict[str, Any]) -> str:
        return one.get("stringValue") or texts[one.get("stringValueStrindex", 0)]

    def frame(place: int) -> tuple[str, str, int]:
        (line,) = tables["locationTable"][place]["lines"]
        function = tables["functionTable"][line["functionIndex"]]
        return texts[function["nameStrindex"]], texts[function["filenameStrindex"]], int(line.get("line", 0))

    (group,) = request["resourceProfiles"]
    (profile,) = group["scopeProfiles"][0]["profiles"]
    resource = {
        one.get("key") or texts[one["keyStrindex"]]: value(one["value"])
        for one in group["resource"]["attributes"]
    }
    found: Counter[tuple[Any, ...]] = Counter()
    for sample in profile["samples"]:
        attributes = {
            texts[entry["keyStrindex"]]: value(entry["value"])
            for entry in map(tables["attributeTable"].__getitem__, sample["attributeIndices"])
        }
        link = tables["linkTable"][sample.get("linkIndex", 0)]
        stack = tables["stackTable"][sample.get("stackIndex", 0)].get("locationIndices", [])
        key = (
            tuple(map(frame, stack)),
            attributes["thread.name"],
            attributes["tickspan.profiler.state"],
            link.get("traceId", ""),
            link.get("spanId", ""),
        )
        found[key] += int(sample["values"][0])
    return resource, profile["profileId"], found


def kept(path: Path) -> Counter[tuple[Any, ...]]:
    """The same of a file."""
    profile = read_pprof(path.read_bytes())
    found: Counter[tuple[Any, ...]] = Counter()
    for sample in profile.samples:
        link = sample.link
        ids = ("", "") if link is None else (f"{link.trace_id:032x}", f"{link.span_id:016x}")
        frames = tuple((frame.name, frame.file, frame.line) for frame in profile.frames_of(sample))
        found[frames, sample.thread, sample.state, *ids] += sample.wall_ns
    return found


@pytest.mark.parametrize("mode", ["tail", "continuous"])
def test_a_killed_program_leaves_its_profile(bot: Bot, mode: str):
    """Nothing listens at the endpoint: what is sent waits, the files do not."""
    options = {"BOT_IS_KILLED": "1", "TICKSPAN_PROFILER_EXPORT": "off"}
    trace_id, profile_id = bot.run(f"http://127.0.0.1:{free_port()}", mode, -signal.SIGKILL, **options)
    (path,) = until(lambda: shelved(bot.spool))
    samples = kept(path)
    assert any(key[0] and key[0][0][0] == "price" for key in samples)
    assert {
        "tail": (f"-bot-slow-{profile_id}.pb.gz" in path.name, {key[3] for key in samples} == {trace_id}),
        "continuous": ("-bot-minute-" in path.name, {"MainThread"} <= {key[1] for key in samples}),
    }[mode] == (True, True)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_captured_trace_arrives_as_it_was_captured(
    bot: Bot, start: Callable[..., Collector], protocol: str
):
    collector = start("profiles_to_file.yaml", _GATE)
    endpoint = collector.grpc_endpoint if protocol == "grpc" else collector.endpoint
    trace_id, profile_id = bot.run(endpoint, "tail", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    resource, came_id, samples = told(*until(lambda: written(collector)))
    assert (resource["service.name"], came_id) == ("bot", profile_id)
    assert samples == kept(*shelved(bot.spool))
    assert {key[3] for key in samples} == {trace_id}
    assert any(key[0][0][0] == "price" for key in samples)


def test_a_continuous_profile_arrives_when_its_program_has_ended(bot: Bot, start: Callable[..., Collector]):
    collector = start("profiles_to_file.yaml", _GATE)
    bot.run(collector.endpoint, "continuous")
    resource, _, samples = told(*until(lambda: written(collector)))
    assert resource["service.name"] == "bot"
    assert samples == kept(*shelved(bot.spool))
    assert {"MainThread", "tickspan-ticker"} <= {key[1] for key in samples}


def test_a_collector_without_profiles_is_asked_once_and_gets_everything_else(
    bot: Bot, start: Callable[..., Collector]
):
    collector = start("otlp_to_file.yaml")
    for _ in range(2):
        bot.run(collector.endpoint, "tail")
    until(lambda: len(shelved(bot.spool)) == 2)
    collector.wait_for(lambda telemetry: sum(span.name == "order" for span in telemetry.spans) >= 2)
    (log,) = (bot.spool / "v1" / "agents").glob("*.log")
    said = until(lambda: [line for line in log.read_text().splitlines() if "no profiles are sent" in line])
    assert len(said) == 1
    assert "answered 404 Not Found: 404 page not found; no profiles are sent there any more" in said[0]
