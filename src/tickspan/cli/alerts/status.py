"""`tickspan alerts status`: what fires, what is pending, and whether people are told."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tickspan.cli.errors import CommandError

__all__ = ["NAME", "SUMMARY", "add_folder_option", "add_options", "folder_of", "run"]

NAME: Final = "status"
SUMMARY: Final = "which alerts fire, and whether anybody could be told"
_OLD_S: Final = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_folder_option(parser)
    parser.add_argument("--json", action="store_true", help="the answer as data")


def add_folder_option(parser: argparse.ArgumentParser) -> None:
    """The option that `folder_of` reads."""
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="the agent's spool (TICKSPAN_SPOOL_DIR, or the user's), or a gateway's --storage",
    )


def folder_of(options: argparse.Namespace) -> Path:
    """Where checkpoint, queue and silences are."""
    from tickspan_spool.spool import SpoolPlan

    return options.directory or SpoolPlan.from_environment(os.environ).directory


def run(options: argparse.Namespace) -> int:
    """Print it. Exit status 0 when nothing fires, 1 when something does or the evaluator has a problem."""
    from tickspan.alerts.checkpoint import FILE, Checkpoint, read_any

    folder = folder_of(options)
    kept: Checkpoint | None = read_any(folder / FILE)
    if kept is None:
        raise CommandError(
            f"{folder}: no evaluator has left a word; is there a rule file (TICKSPAN_ALERTS_FILE), and an"
            " agent ('tickspan agent status') or a gateway with --storage?",
            1,
        )
    status: dict[str, Any] = dict(kept.state.get("status", {}))
    age_s = max(0.0, time.time() - kept.written_s)
    status |= {name: kept.state.get(name) for name in ("rule_file", "pid")} | {"age_s": round(age_s, 3)}
    silences = _silences(folder)
    if options.json:
        print(json.dumps({**status, "silences": silences}, indent=2))
    else:
        print("\n".join(_lines(status, silences, age_s)))
    return 1 if status.get("firing") or status.get("problems") or status.get("trouble") else 0


def _silences(folder: Path) -> list[dict[str, Any]]:
    from tickspan.alerts.silences import FILE, Silences

    return [silence.to_json() for silence in Silences(folder / FILE, time.time).current()]


def _lines(status: Mapping[str, Any], silences: list[dict[str, Any]], age_s: float) -> Iterable[str]:
    firing: list[Mapping[str, Any]] = status.get("firing", [])
    pending = [alert for alert in status.get("alerts", []) if alert["state"] == "pending"]
    old = f", last heard of {age_s:.0f} s ago" if age_s > _OLD_S else ""
    who = f"{status.get('tier')} {status.get('pid')}"
    yield f"{who}: {status.get('rules')} rules of {status.get('rule_file')}{old}"
    for alert in firing:
        since = datetime.fromtimestamp(alert["since_s"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        trace = f", trace {alert['trace_id']}" if alert["trace_id"] else ""
        yield f"firing  {_name(alert)} {alert['value']} since {since} (by {alert['evaluator']}){trace}"
    for alert in pending:
        value = "no data" if alert["value"] is None else f"{alert['value']:.6g}"
        yield f"pending {_name(alert)} {value}"
    if not firing and not pending:
        yield "nothing fires"
    yield from (f"rule {name}: {problem}" for name, problem in status.get("problems", {}).items())
    if status.get("trouble"):
        yield f"rule file: {status['trouble']}"
    delivery: Mapping[str, Any] = status.get("delivery", {})
    for channel in delivery.get("channels", []):
        trouble = channel["trouble"] or "well"
        yield f"notifier {channel['name']}: {channel['sent']} sent, {channel['dropped']} refused: {trouble}"
    if delivery.get("waiting") or delivery.get("dropped"):
        yield f"{delivery['waiting']} notices wait, {delivery['dropped']} were dropped"
    yield from (f"silence {one['id']}: {', '.join(one['matchers'])}" for one in silences)


def _name(alert: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in alert["labels"].items() if name != "alertname")
    return f"{alert['rule']} {{{labels}}}"
