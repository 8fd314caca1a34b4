"""`tickspan desk`: the page of this machine, and what can be done with what it keeps."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError
from tickspan_desk.options import DeskOptions, add_options, age, url

if TYPE_CHECKING:
    from tickspan_spool.receiver import Signal

    from tickspan_desk.desk import Desk, Places
    from tickspan_desk.replaying import Replayed
    from tickspan_desk.store import Store, Window

__all__ = ["DeskCommand"]

_NO_END: Final = (1 << 63) - 1
_LOOK_EVERY_S: Final = 1.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


_STATUSES: Final = {
    "save": "exit status: 0 it is written; 2 there is no store, it cannot be written, or wrong usage",
    "export": "exit status: 0 it is printed; 1 nothing is kept of it; 2 there is no store, or wrong usage",
    "replay": "exit status: 0 all of it was taken; 1 some of it was not; 2 there is no store, or wrong usage",
}
"""What the help of an action ends with."""


class DeskCommand:
    """Exit status 0 when it was told to end, 1 when it has to end by itself, 2 when it cannot start.

    Of the actions: 0 when all of it was done, 1 when some of it was not, 2 when it cannot begin.
    """

    name = "desk"
    summary = "show traces, orders, queries and alerts of this machine on one live page"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options of the desk, and its actions."""
        parser.set_defaults(act=serve)
        parser.epilog = (
            "exit status: 0 it was told to end; 1 it had to end by itself; 2 it cannot start, or wrong usage"
        )
        add_options(parser)
        _add_common(parser)
        actions = parser.add_subparsers(dest="action", metavar="ACTION")
        keep = _add(actions, "save", "write everything that is kept as a session, for --load", save_session)
        keep.add_argument("file", type=Path, metavar="FILE")
        _add_since(keep)
        export = _add(actions, "export", "print one trace or order as OTLP JSON", export_json)
        what = export.add_mutually_exclusive_group(required=True)
        what.add_argument("--trace", default="", metavar="ID", help="32 hexadecimal digits")
        what.add_argument("--order", default="", metavar="ID", help="any id of the order")
        replay = _add(actions, "replay", "send what is kept to a collector, as it came", replay_store)
        replay.add_argument("--to", type=url, required=True, metavar="URL", help="base URL of OTLP/HTTP")
        replay.add_argument(
            "--patience", type=age, default=30.0, metavar="AGE", help="with a collector that fails (30s)"
        )
        _add_since(replay)

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        return options.act(options)


def _add(actions: Any, name: str, summary: str, act: Callable[[argparse.Namespace], int]) -> Any:
    parser = actions.add_parser(
        name,
        help=summary,
        description=summary,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,  # what was said before the action still holds
        epilog=_STATUSES[name],
    )
    parser.add_argument("--store", type=Path, metavar="FILE", help="instead of the one beside the spool")
    _add_common(parser)
    parser.set_defaults(act=act)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spool", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )
    is_action = parser.argument_default == argparse.SUPPRESS
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS if is_action else False,
        help="one line of data",
    )


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=age, metavar="AGE", help="only what came so lately, such as 15m")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(f"tickspan desk: {text}\n")
    sys.stderr.flush()


# Serving -------------------------------------------------------------------------------------------------


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    with _told_to_end() as is_ending, _clear_errors():
        from tickspan_desk.desk import Desk  # web server and store: no other verb is to wait for them

        with Desk(_desk_options(options), os.environ) as desk:
            _tell_ready(desk.places, options)
            if not _spool(options)[1]:
                _warn("settings forbid to start an agent: programs are seen while 'tickspan agent run' runs")
            if options.opens:
                _open_browser(desk.places.page)
            status = _serve(desk, is_ending)
        _tell_forwarded(desk, options)
        return status


def _serve(desk: Desk, is_ending: threading.Event) -> int:
    while not is_ending.wait(_LOOK_EVERY_S):
        if not desk.is_serving:
            _warn("the page is not served any more")
            return 1
        desk.look_after_agent()
    return 0


@contextmanager
def _told_to_end() -> Generator[threading.Event]:
    """An event that SIGINT and SIGTERM set, once; the second one ends the program at once."""
    told = threading.Event()

    def tell(number: int, _frame: object) -> None:
        if told.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        told.set()

    before = {number: signal.signal(number, tell) for number in _SIGNALS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _clear_errors() -> Generator[None]:
    """What a desk raises when it cannot start, as one line that says what to do."""
    try:
        from tickspan_desk.desk import DeskError
        from tickspan_desk.registration import TakenError
        from tickspan_desk.sessions import SessionError
        from tickspan_desk.store.schema import StoreError
    except ImportError as error:
        raise CommandError(
            f"needs more than is installed ({error.name}): pip install 'tickspan[desk]'"
        ) from None
    try:
        yield
    except TakenError as taken:
        where = f": open {taken.url}" if taken.url else "; it is starting"
        raise CommandError(f"another desk shows this store{where}") from None
    except (DeskError, SessionError, StoreError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or 'the desk'}: {error.strerror or error}") from None


def _desk_options(options: argparse.Namespace) -> DeskOptions:
    spool, starts_agent = _spool(options)
    return DeskOptions(
        spool=spool,
        store=None if options.memory else _store_path(options, spool),
        port=options.port,
        otlp_port=options.otlp_port,
        max_bytes=options.max_bytes,
        max_age_s=options.max_age,
        has_grpc=options.grpc,
        elsewhere=options.listen_elsewhere or "",
        forward=options.forward or "",
        load=options.load,
        starts_agent=starts_agent,
    )


def _spool(options: argparse.Namespace) -> tuple[Path, bool]:
    """The spool of the settings, and whether an agent may be started for it."""
    from tickspan_spool.spool import default_directory

    from tickspan.config import read_settings

    settings = read_settings(environ=os.environ).settings
    configured = (
        Path(settings.spool.dir).expanduser() if settings.spool.dir else default_directory(os.environ)
    )
    return options.spool or configured, settings.agent.value in {"auto", "thread"}


def _store_path(options: argparse.Namespace, spool: Path) -> Path:
    from tickspan_desk.registration import default_store

    return options.store or default_store(spool)


def _tell_ready(places: Places, options: argparse.Namespace) -> None:
    if options.json:
        told = {
            "page": places.page,
            "otlp": places.otlp,
            "grpc": places.grpc,
            "store": places.store,
            "token": places.token,
            "pid": os.getpid(),
        }
        _say(json.dumps(told))
        return
    grpc = f", gRPC on {places.grpc}" if places.grpc else ""
    kept = places.store or "nowhere: it ends with the desk"
    _say(
        f"Open  {places.page}\n"
        f"Programs under 'tickspan run' are seen by themselves; others send OTLP to {places.otlp}{grpc}\n"
        f"Kept in {kept}\n"
        "Ctrl-C ends it."
    )
    if options.listen_elsewhere:
        port = places.otlp.rpartition(":")[2]
        _warn(
            f"WARNING: page and receiver are open to the network of {options.listen_elsewhere}, unencrypted: "
            "who reads along has the token, and with it everything shown here.\n"
            f"Programs elsewhere send OTLP to http://{options.listen_elsewhere}:{port} with "
            f"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{places.token}"
        )


def _open_browser(page: str) -> None:
    import webbrowser  # only for those who ask

    if not webbrowser.open(page):
        _warn("no browser was found; open the address yourself")


def _tell_forwarded(desk: Desk, options: argparse.Namespace) -> None:
    told = desk.forwarded
    if told is None:
        return
    if options.json:
        _say(json.dumps({"forwarded": asdict(told)}))
        return
    lost = "".join(f", {count:,} {reason}" for reason, count in told.dropped.items())
    left = f", {told.waiting:,} not sent" if told.waiting else ""
    _say(f"Sent on: {told.delivered:,} of {told.taken:,} records{lost}{left}")


# Actions -------------------------------------------------------------------------------------------------


def save_session(options: argparse.Namespace) -> int:
    """Write a session; a desk may be showing the store meanwhile."""
    with _clear_errors():
        from tickspan_desk.sessions import save

        with _kept(options) as store:
            saved = save(options.file, store.batches(_window(options)))
    if options.json:
        _say(json.dumps(asdict(saved)))
    else:
        _say(f"{saved.requests:,} requests in {saved.path}, {saved.bytes:,} bytes")
    return 0


def export_json(options: argparse.Namespace) -> int:
    """Print OTLP JSON; exit status 1 when nothing is known of the trace or order."""
    with _clear_errors():
        from tickspan_desk.exporting import export

        with _kept(options) as store:
            trace_ids = _trace_ids(store, options)
            told = export(store.batches(_window(options)), trace_ids)
    if not told:
        raise CommandError(f"nothing is kept of {options.trace or options.order}", 1)
    _say(json.dumps(told, indent=None if options.json else 2, ensure_ascii=False))
    return 0


def _trace_ids(store: Store, options: argparse.Namespace) -> tuple[str, ...]:
    if options.trace:
        trace_id = options.trace.lower()
        if len(trace_id) != 32 or any(letter not in "0123456789abcdef" for letter in trace_id):  # noqa: PLR2004 - the format's
            raise CommandError(f"--trace: expected 32 hexadecimal digits, got '{options.trace}'")
        return (trace_id,)
    order = store.order(options.order)
    if order is None:
        raise CommandError(f"no order '{options.order}' is kept", 1)
    return order.trace_ids


def replay_store(options: argparse.Namespace) -> int:
    """Send what is kept; exit status 1 when the collector did not take all of it."""
    with _clear_errors():
        from tickspan_desk.replaying import replay

        with _kept(options) as store:
            requests: Iterable[tuple[Signal, bytes]] = store.batches(_window(options))
            done = replay(requests, options.to, _progress(options), patience_s=options.patience)
    if options.json:
        _say(json.dumps(asdict(done)))
    else:
        _say(_replayed_line(done))
    return 0 if done.is_complete and not done.dropped else 1


def _progress(options: argparse.Namespace) -> Callable[[Replayed], None]:
    """Once a second on a terminal, else nothing."""
    if options.json or not sys.stderr.isatty():
        return lambda _so_far: None
    next_s = time.monotonic() + 1.0

    def tell(so_far: Replayed) -> None:
        nonlocal next_s
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + 1.0
            _warn(f"{so_far.records:,} records sent …")

    return tell


def _replayed_line(done: Replayed) -> str:
    lost = "".join(f", {count:,} {reason}" for reason, count in done.dropped.items())
    line = f"{done.delivered:,} of {done.records:,} records in {done.requests:,} requests taken{lost}"
    if not done.is_complete:
        return f"{line}; given up: {done.trouble}"
    return f"{line}; {done.trouble}" if done.trouble else line


@contextmanager
def _kept(options: argparse.Namespace) -> Generator[Store]:
    """The store as it is. Raises `CommandError` when there is none."""
    path = _store_path(options, _spool(options)[0])
    if not path.is_file():
        raise CommandError(f"no store at {path}: name one with --store, or start 'tickspan desk'")
    from tickspan_desk.store import Store

    with Store(path, max_bytes=1 << 62, max_age_s=1e12) as store:
        yield store


def _window(options: argparse.Namespace) -> Window:
    from tickspan_desk.store import Window

    since = getattr(options, "since", None)
    return Window(0 if since is None else time.time_ns() - int(since * 1e9), _NO_END)
