"""What a page of 10,000 rows costs with the desk's application and with libraries for web pages.

    python benchmarks/desk/web_library.py --peers PYTHON

`PYTHON` is an interpreter that has the peers: nicegui, dash, streamlit and python-fasthtml. For each: seconds
of wall and of the program's processor time from its start until a browser shows the first rows, bytes and
requests, and how long frames take while all rows are scrolled through in four seconds. Of several rounds the
least is told: what else the machine does only adds. Needs /proc.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

ROWS: Final = 10_000
_START_S: Final = 120.0
_DATA: Final = f"""
rows = [dict(id=i, name=f"trading.order.submit {{i}}", service="bot", duration=f"{{i % 997}} ms",
             spans=i % 40, state="ok" if i % 50 else "failed") for i in range({ROWS})]
"""
_DESK: Final = f"""
import sys, uvicorn
from types import SimpleNamespace
from tickspan_desk.store.reading import TraceEntry
from tickspan_desk.web.app import make_app
NOW = 1_767_225_600_000_000_000
rows = [TraceEntry(f"{{i:032x}}", f"trading.order.submit {{i}}", "bot", NOW - i * 10**6,
                   NOW - i * 10**6 + (i % 997 + 1) * 10**6, i % 40, i % 50 == 0, ("bot",))
        for i in range({ROWS})]
class Reading:
    def traces(self, wanted, window, limit=100, before_ns=0): return rows[:limit]
    def services(self): return ["bot"]
    def statistics(self): return SimpleNamespace(version=1)
uvicorn.run(make_app(Reading()), port=int(sys.argv[1]), log_level="error")
"""
_PEERS: Final[Mapping[str, str]] = {
    "nicegui": f"""
import sys
from nicegui import ui
{_DATA}
@ui.page("/")
def index():
    columns = [dict(name=n, label=n, field=n) for n in rows[0]]
    table = ui.table(columns=columns, rows=rows, row_key="id").props("virtual-scroll")
    table.classes("h-[700px] w-full")
ui.run(port=int(sys.argv[1]), show=False, reload=False, show_welcome_message=False)
""",
    "dash": f"""
import sys
from dash import Dash, dash_table
{_DATA}
app = Dash(__name__)
app.layout = dash_table.DataTable(rows, [dict(name=n, id=n) for n in rows[0]], virtualization=True,
                                  page_action="none", style_table=dict(height=700))
app.run(port=int(sys.argv[1]), debug=False)
""",
    "streamlit": f"""
import streamlit as st
{_DATA}
st.dataframe(rows, height=700)
""",
    "fasthtml": f"""
import sys
from fasthtml.common import *
{_DATA}
app, rt = fast_app()
@rt("/")
def get():
    return Table(Thead(Tr(*map(Th, rows[0]))), Tbody(*(Tr(*map(Td, row.values())) for row in rows)))
serve(appname="program", port=int(sys.argv[1]), reload=False)
""",
}
PROGRAMS: Final[Mapping[str, str]] = {"tickspan-desk": _DESK, "tickspan-desk 100": _DESK, **_PEERS}
_PATHS: Final = {
    "tickspan-desk": f"/traces?rows={ROWS}&since=0&until={2**62}",
    "tickspan-desk 100": f"/traces?since=0&until={2**62}",
}
_SHOWN: Final = {"streamlit": "canvas"}
_SCROLL: Final = """async () => {
  const found = [document.scrollingElement, ...document.querySelectorAll("*")].filter(
    one => one.scrollHeight > one.clientHeight + 2000)
  const scrolled = found[found.length - 1] || document.scrollingElement
  const step = (scrolled.scrollHeight - scrolled.clientHeight) / 240, frames = []
  let last = performance.now()
  const end = last + 4000
  return await new Promise(done => requestAnimationFrame(function frame() {
    const now = performance.now()
    frames.push(now - last)
    last = now
    scrolled.scrollTop += step
    if (now < end) return requestAnimationFrame(frame)
    frames.sort((a, b) => a - b)
    done({p50: frames[frames.length >> 1], p95: frames[Math.floor(frames.length * 0.95)],
          nodes: document.querySelectorAll("*").length})
  }))
}"""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, help="an interpreter that has the peers")
    parser.add_argument("--only", choices=PROGRAMS, action="append", help="of these alone; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    names = [name for name in options.only or PROGRAMS if options.peers or name not in _PEERS]
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        for name in names * options.rounds:
            path = Path(folder, "program.py")
            path.write_text(PROGRAMS[name], encoding="utf-8")
            python = str(options.peers) if name in _PEERS else sys.executable
            found[name].append(measure(browser, name, python, path))
        browser.close()
    heads = f"{'start s':>9}{'cpu s':>7}{'kB':>9}{'requests':>10}{'nodes':>9}"
    print(f"{'':18}{heads}{'frame p50':>11}{'p95 ms':>8}")
    for name, told in found.items():
        print(_line(name, {key: min(one[key] for one in told) for key in told[0]}))


def measure(browser: Browser, name: str, python: str, program: Path) -> Mapping[str, float]:
    """One program, from its start to the last row."""
    port = _free_port()
    words = [python, str(program), str(port)]
    if name == "streamlit":
        words = [python, "-m", "streamlit", "run", str(program), "--server.port", str(port)]
        words += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    started_s = time.monotonic()
    with subprocess.Popen(
        words,
        cwd=program.parent,
        env={**os.environ, "PYTHONPATH": str(program.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _await_port(port)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            network = page.context.new_cdp_session(page)
            received: list[float] = []

            def count_answer(answer: dict[str, Any]) -> None:
                received.append(answer["encodedDataLength"])

            def count_frame(frame: dict[str, Any]) -> None:
                received.append(len(frame["response"]["payloadData"]))

            network.on("Network.loadingFinished", count_answer)
            network.on("Network.webSocketFrameReceived", count_frame)
            network.send("Network.enable")
            page.set_default_timeout(_START_S * 1000)
            page.goto(f"http://127.0.0.1:{port}{_PATHS.get(name, '/')}", wait_until="domcontentloaded")
            page.locator(_SHOWN.get(name, "td:has-text('order.submit'):visible")).first.wait_for()
            told: dict[str, float] = {
                "start": time.monotonic() - started_s,
                "cpu": _processor_s(process.pid),
            }
            page.wait_for_timeout(1500)
            told |= {"kb": sum(received) / 1000, "requests": len(received), **page.evaluate(_SCROLL)}
            page.close()
            return told
        finally:
            process.terminate()


def _line(name: str, told: Mapping[str, float]) -> str:
    return (
        f"{name:18}{told['start']:>9.2f}{told['cpu']:>7.2f}{told['kb']:>9,.0f}{told['requests']:>10.0f}{told['nodes']:>9,.0f}"
        f"{told['p50']:>11.1f}{told['p95']:>8.1f}"
    )


def _processor_s(pid: int) -> float:
    """User and system time of a process so far (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _await_port(port: int) -> None:
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


if __name__ == "__main__":
    main()
