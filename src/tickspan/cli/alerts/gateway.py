"""`tickspan alerts gateway`: receive OTLP of many senders, and evaluate rules over all of them."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan.alerts.gateway import Gateway, Listen
    from tickspan.alerts.station import Change

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "gateway"
SUMMARY: Final = "evaluate rules over the OTLP of many senders, until stopped"
_MOST_SERIES: Final = 50_000
_TIERS: Final = "process,agent,gateway"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--rules", type=Path, required=True, metavar="F", help="the rule file")
    parser.add_argument(
        "--listen", required=True, metavar="H:P", help="where to listen, such as 127.0.0.1:4318"
    )
    parser.add_argument(
        "--storage", type=Path, metavar="DIR", help="what must outlive a restart; without it nothing does"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="F", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="F", help="its key, PEM")
    parser.add_argument("--token-file", type=Path, metavar="F", help="bearer token that senders must show")
    parser.add_argument(
        "--tiers", default=_TIERS, help=f"evaluators that there are; the slowest resolves ({_TIERS})"
    )
    parser.add_argument(
        "--max-series", type=int, default=_MOST_SERIES, metavar="N", help=f"known at once ({_MOST_SERIES})"
    )
    parser.add_argument("--json", action="store_true", help="each change of an alert as JSON on stdout")


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; exit status 0 then, 2 for what can be mended."""
    from tickspan.alerts.file import RuleFileError
    from tickspan.alerts.gateway import Gateway, ListenError

    told_to_end = threading.Event()
    with _on_signals(told_to_end):
        try:
            gateway = Gateway(
                options.rules,
                _listen(options),
                options.storage,
                tiers=_tiers(options.tiers),
                most_series=options.max_series,
                on_change=_tell_json if options.json else _tell,
            )
        except (ListenError, RuleFileError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename or options.storage}: {error.strerror}") from None
        try:
            gateway.start()
        except OSError as error:
            gateway.close()
            raise CommandError(error.strerror or str(error)) from None
        _say(f"{gateway.endpoint} receives; {len(gateway.station.engine.rules)} rules of {options.rules}")
        gateway.run(told_to_end)
        gateway.close()
    _say(_ending(gateway))
    return 0


@contextmanager
def _on_signals(told_to_end: threading.Event) -> Generator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        told_to_end.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(options: argparse.Namespace) -> Listen:
    from tickspan.alerts.gateway import Listen

    host, colon, port = options.listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the last port
        raise CommandError(f"--listen: expected HOST:PORT, got '{options.listen}'")
    token = ""
    if options.token_file is not None:
        try:
            token = options.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "expected text in UTF-8"
            raise CommandError(f"--token-file {options.token_file}: {reason}") from None
        if not token:
            raise CommandError(f"--token-file {options.token_file}: it is empty")
    return Listen(host.strip("[]"), int(port), options.tls_cert, options.tls_key, token)


def _tiers(text: str) -> frozenset[Any]:
    from tickspan.analysis.rules.tiers import Tier

    known = {tier.value: tier for tier in Tier}
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(f"--tiers: expected {', '.join(known)}, got '{unknown[0]}'")
    return frozenset(known[name] for name in names)


def _tell(told: Change) -> None:
    from tickspan.alerts.notice import told_number

    rule, transition = told.change
    alert = transition.alert
    where = ", ".join(f"{name}={value}" for name, value in alert.labels if name != "alertname")
    why = f" ({transition.reason})" if transition.reason else ""
    _say(f"{alert.state} {rule.name} {{{where}}} {told_number(alert.value, rule.unit)}{why}")


def _tell_json(told: Change) -> None:
    rule, transition = told.change
    alert = transition.alert
    document = {
        "at": _now(),
        "rule": rule.name,
        "state": alert.state.value,
        "previous_state": transition.previous.value,
        "labels": dict(alert.labels),
        "value": None if math.isnan(alert.value) else alert.value,
        "threshold": rule.threshold,
        "reason": transition.reason.value,
        "trace_id": alert.worst.trace_id if alert.worst is not None else "",
    }
    print(json.dumps(document), flush=True)


def _ending(gateway: Gateway) -> str:
    counts, sent = gateway.statistics(), gateway.station.delivery.statistics()
    refused = f", {counts.ahead + counts.refused} points refused" if counts.ahead + counts.refused else ""
    return (
        f"ended: {counts.readings} points and {counts.occurrences} events of {counts.series} series{refused};"
        f" {sum(channel.sent for channel in sent.channels)} notices sent, {sent.waiting} wait"
    )


def _say(line: str) -> None:
    print(f"{_now()} {line}", file=sys.stderr, flush=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
