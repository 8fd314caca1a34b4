"""Breaches: how long from the measurement to the callback, to Alertmanager by the agent, by the gateway."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from benchmarks.metrics.place import Place
from benchmarks.pipeline.figures import percentile
from benchmarks.pipeline.ground import ROOT, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import Child, ChildError

_OURS: Final = "tickspan"
_PATIENCE_S: Final = 30.0
_STEP_S: Final = 0.37
_RULES: Final = """
version = 1
[notifiers.pager]
type = "alertmanager"
urls = ["{url}"]
[[rules]]
name = "SlowOrders"
metric = "trading.order.duration"
stat = "p99"
window = "2s"
condition = "gt"
threshold = "1s"
[[rules]]
name = "KillSwitch"
kind = "event"
span = "kill switch"
window = "1s"
"""
_WANTED_S: Final[Mapping[str, float]] = {
    "threshold: callback": 1.1,
    "event: callback": 0.05,
    "threshold: posted by the agent": 2.0,
    "threshold: posted by the gateway": 4.0,
}
"""The gateway's: 1 s until metrics are collected, and 3 s."""


class Pages:
    """What an Alertmanager would be sent: rule and time of each alert that fires."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def first(self, rule: str, after_s: float) -> float:
        """When it was told of; 0 when it was not."""
        until_s = time.time() + _PATIENCE_S
        while time.time() < until_s:
            for name, at_s in list(self.told):
                if name == rule and at_s >= after_s:
                    return at_s
            time.sleep(0.005)
        return 0.0


def breached(place: Place, progress: Progress) -> Section:
    """Planted breaches, one after another, each when the last has ended everywhere."""
    delays: dict[str, list[float]] = {name: [] for name in _WANTED_S}
    lost: list[str] = []
    with ExitStack() as stack:
        by_agent, agent_url = stack.enter_context(_pages())
        by_gateway, gateway_url = stack.enter_context(_pages())
        folder, settings = stack.enter_context(place.spool())
        endpoint = stack.enter_context(_gateway(folder.parent, gateway_url))
        rules = _rules(folder.parent / "agent.toml", agent_url)
        settings |= {
            "TICKSPAN_ALERTS_FILE": str(rules),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
        trader = stack.enter_context(Child("benchmarks.metrics.trader", launch=launch(settings)))
        trader.hello()
        for number in range(place.scale.breaches):
            progress(f"breach {number + 1} of {place.scale.breaches}")
            for kind in ("event", "threshold"):
                said = trader.ask(kind)
                moments = {f"{kind}: callback": said["heard_s"]}
                if kind == "threshold":
                    began_s = said["began_s"]
                    moments["threshold: posted by the agent"] = by_agent.first("SlowOrders", began_s)
                    moments["threshold: posted by the gateway"] = by_gateway.first("SlowOrders", began_s)
                for name, moment_s in moments.items():
                    if moment_s:
                        delays[name].append(moment_s - said["began_s"])
                    else:
                        lost.append(f"breaches: {name}: not told in {_PATIENCE_S:g} s")
                if not trader.ask("calm")["calm"]:
                    lost.append(f"breaches: {kind}: an alert did not end")
            time.sleep(4.0 + number * _STEP_S % 1)  # it has ended in the gateway, too; another phase
    return Section("breaches", (_table(delays),), tuple(_targets(delays)), tuple(lost), {"delays": delays})


@contextmanager
def _pages() -> Generator[tuple[Pages, str]]:
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at_s = time.time()
            posted: list[dict[str, Any]] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pages.told += [(alert["labels"]["alertname"], at_s) for alert in posted]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield pages, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _rules(path: Path, url: str) -> Path:
    path.write_text(_RULES.format(url=url))
    return path


@contextmanager
def _gateway(folder: Path, url: str) -> Generator[str]:
    """The endpoint of a gateway with the same rules."""
    rules = _rules(folder / "gateway.toml", url)
    command = [sys.executable, "-m", "tickspan", "alerts", "gateway", "--rules", str(rules)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--storage", str(folder / "gateway")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr is not None
    try:
        line = next((line for line in process.stderr if " receives; " in line), "")
        if not line:
            raise ChildError(f"the gateway ended with status {process.wait()}")
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield line.split(" ")[1]
    finally:
        process.terminate()
        process.wait()


def _table(delays: Mapping[str, list[float]]) -> Table:
    rows = tuple(
        (
            name,
            str(len(each)),
            *(f"{percentile(each, share):.3f}" for share in (0.5, 0.9)),
            f"{max(each):.3f}",
        )
        for name, each in delays.items()
        if each
    )
    return Table(
        "From a breach to whom it is told",
        ("way", "breaches", "p50, s", "p90, s", "longest, s"),
        rows,
        "A process with `tickspan.init()`, its agent, and a gateway that the agent sends to; both post to a"
        " server that notes the time. Rules are evaluated once a second; each breach comes at another moment"
        " of it.",
    )


def _targets(delays: Mapping[str, list[float]]) -> list[Target]:
    return [
        Target(
            name,
            _OURS,
            f"≤ {wanted_s:g} s",
            f"at most {max(delays[name]):.3f} s, {len(delays[name])} breaches"
            if delays[name]
            else "not told",
            max(delays[name]) <= wanted_s if delays[name] else None,
        )
        for name, wanted_s in _WANTED_S.items()
    ]
