"""`tickspan demo`: a simulated venue, a real bot, and its orders explained one by one."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan.demo.desk import DemoDesk
    from tickspan.demo.stage import Progress, Scene

MIN_SECONDS = 1.0
MAX_SECONDS = 600.0


class DemoCommand:
    """Exit status 0 when every order is explained, 1 when one is not, 2 when the demo cannot run."""

    name = "demo"
    summary = "see a trading bot explained, order by order"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--seconds", type=_seconds, default=10.0, metavar="N", help="how long the bot trades (10)"
        )
        parser.add_argument("--json", metavar="FILE", help="write the report as data; '-' is standard output")
        parser.add_argument("--seed", type=int, default=7, metavar="N", help="of the venue's prices (7)")
        parser.add_argument(
            "--port", type=_port, default=0, metavar="P", help="of the OTLP receiver (any free one)"
        )
        parser.add_argument(
            "--database", metavar="URL", help="instead of SQLite, such as postgresql+asyncpg://…"
        )
        parser.add_argument(
            "--redis", metavar="URL", help="instead of one found or embedded, such as redis://…"
        )
        parser.add_argument(
            "--desk", action="store_true", help="show it all on a live page as well, and stay until Ctrl-C"
        )

        parser.add_argument(
            "--faults",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="let a second bot get into trouble, each kind once (yes; about 20 s)",
        )

    def run(self, options: argparse.Namespace) -> int:
        """Perform, show, and write."""
        try:
            from rich.console import Console

            from tickspan.demo import DemoError
        except ImportError as error:
            raise CommandError(
                f"needs more than is installed ({error.name}): pip install 'tickspan[demo]'"
            ) from None
        destination = _writable(options.json)
        console = Console(stderr=options.json == "-", highlight=False)
        try:
            with ExitStack() as stack:
                return _perform(options, console, destination, _desk(options, console, stack))
        except DemoError as error:
            raise CommandError(str(error)) from None


def _desk(options: argparse.Namespace, console: Any, stack: ExitStack) -> DemoDesk | None:
    if not options.desk:
        return None
    from tickspan.demo.desk import desk_beside

    desk = stack.enter_context(desk_beside())
    console.print(f"Watch it on {desk.page}", soft_wrap=True)
    return desk


def _perform(
    options: argparse.Namespace, console: Any, destination: str | None, desk: DemoDesk | None
) -> int:
    from tickspan.demo import DemoPlan, perform
    from tickspan.demo.show import show

    plan = DemoPlan(
        options.seconds,
        options.seed,
        options.port,
        options.database,
        options.redis,
        options.faults,
        desk.otlp if desk else "",
    )
    performance = perform(plan, _teller(console, options.seconds))
    show(performance, console)
    if destination is not None:
        text = json.dumps(performance.report.to_json(), indent=2, ensure_ascii=False) + "\n"
        sys.stdout.write(text) if destination == "-" else Path(destination).write_text(text, encoding="utf-8")
        sys.stdout.flush()
    if desk is not None:
        console.print(f"Everything is on {desk.page} until Ctrl-C.", soft_wrap=True)
        desk.stay()
    return 1 if performance.report.shortfalls() else 0


def _teller(console: Any, seconds: float) -> Any:
    from tickspan.demo import Scene  # the extra `demo` is there, as it was for the caller

    console.print(f"A venue, a database, Redis and a bot under 'tickspan run': trading for {seconds:g} s …")

    def tell(progress: Progress | Scene) -> None:
        if isinstance(progress, Scene):
            console.print(f"  planted: {progress.planted.value}")
            return
        console.print(
            f"  {progress.elapsed_s:4.0f} s  {progress.orders} orders and {progress.executions} executions "
            f"at the venue, {progress.spans} spans received"
        )

    return tell


def _writable(path: str | None) -> str | None:
    if path is not None and path != "-":
        try:
            Path(path).open("a").close()
        except OSError as error:
            raise CommandError(f"--json: cannot write '{path}': {error.strerror}") from None
    return path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"expected {MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, got '{text}'")
    return seconds


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:  # noqa: PLR2004 - the largest port
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got '{text}'")
    return int(text)
