"""A real bot, freqtrade, unchanged, trading live at the simulated venue under `tickspan run`.

    python scripts/e2e_freqtrade.py --seconds 30

Freqtrade gets an environment of its own (about 600 MB). What the venue holds is compared with what was
received: every order in one trace, every execution in its order's, no secret in any byte, nothing of ours in
any request. Exit status 0 when all of that holds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tickspan_spool import agent

from tickspan.semconv import trading
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.reconciliation import count_secrets, reconcile, signatures_in
from tickspan.testing.venue import Behaviour, Connect, VenueSimulator

ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = ROOT / ".venv-freqtrade"
FREQTRADE: Final = "freqtrade==2026.9"
PAIRS: Final = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
DRAIN_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 60.0
OURS: Final = ("traceparent", "tracestate", "baggage")


class BotError(Exception):
    """Freqtrade cannot be installed or did not run; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when all is joined, 1 when something is missed, 2 when the bot did not run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it trades (default: 30)")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")
    options = parser.parse_args(arguments)
    try:
        install()
        outcome = traded(options.seconds)
    except BotError as error:
        print(f"e2e-freqtrade: {error}", file=sys.stderr)
        return 2
    print(json.dumps(outcome, indent=2) if options.json else _told(outcome))
    return 1 if outcome["shortfalls"] else 0


def install() -> None:
    """Make freqtrade's environment, once, with our distributions laid in as they stand here."""
    mark = ENVIRONMENT / ".installed"
    if mark.exists() and mark.read_text() == FREQTRADE:
        return
    print(f"installing {FREQTRADE} into {ENVIRONMENT.name}, once …", file=sys.stderr, flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    python = str(ENVIRONMENT / "bin" / "python")
    ours = [ROOT, ROOT / "exporters/tickspan-spool", ROOT / "instrumentors/tickspan-ccxt"]
    ours += [ROOT / "instrumentors/tickspan-sqlalchemy"]
    editables = [word for folder in ours for word in ("--editable", str(folder))]
    uv = shutil.which("uv")
    if uv is not None:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)])
        _run([uv, "pip", "install", "--quiet", "--python", python, FREQTRADE, *editables])
    else:
        _run([sys.executable, "-m", "venv", str(ENVIRONMENT)])
        _run([python, "-m", "pip", "install", "--quiet", FREQTRADE, *editables])
    mark.write_text(FREQTRADE)


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise BotError(f"{' '.join(words[:4])} … failed:\n{done.stderr[-2000:]}")


def traded(seconds: float) -> dict[str, Any]:
    """Let the bot trade for a while, and hold what was received against what the venue knows."""
    behaviour = Behaviour(symbols=PAIRS, partials=(0.4, 0.6), tick_interval_s=0.2)
    with (
        tempfile.TemporaryDirectory(prefix="tickspan-freqtrade-") as name,
        VenueSimulator(seed=3, behaviour=behaviour) as venue,
        OtlpServer() as server,
    ):
        folder = Path(name)
        printed = _run_bot(folder, venue.connect, server, seconds)
        agent.drain(folder / "spool", DRAIN_TIMEOUT_S)
        agent.stop(folder / "spool", STOP_TIMEOUT_S)
        truth, spans = venue.truth(), server.spans()
        secrets = (venue.connect.api_key, venue.connect.secret, *signatures_in(truth))
        reconciliation = reconcile(truth, spans)
        found = count_secrets(server.bodies(), secrets)
        headers = sum(name.lower() in OURS for request in truth.requests for name, _ in request.headers)
        shortfalls = [*reconciliation.shortfalls]
        if not truth.orders:
            shortfalls.append(f"no order was placed; the bot's last words:\n{printed[-3000:]}")
        if found:
            shortfalls.append("a secret left the process")
        if headers:
            shortfalls.append("a header of ours reached the venue")
        return {
            "freqtrade": FREQTRADE,
            "seconds": seconds,
            "orders": reconciliation.orders,
            "orders_in_one_trace": reconciliation.orders_in_one_trace,
            "executions": reconciliation.executions,
            "executions_in_their_orders_trace": reconciliation.executions_in_their_orders_trace,
            "executions_told_twice": reconciliation.executions_told_twice,
            "secrets_searched": len(set(secrets)),
            "secrets_found": found,
            "requests": len(truth.requests),
            "requests_with_our_headers": headers,
            "spans": dict(Counter(span.name for span in spans).most_common(12)),
            "lives_complete": sum(
                span.attributes.get(trading.ORDER_COMPLETE) is True
                for span in spans
                if span.name == trading.SPAN_ORDER_LIFECYCLE
            ),
            "shortfalls": shortfalls,
        }


def _run_bot(folder: Path, venue: Connect, server: OtlpServer, seconds: float) -> str:
    """Freqtrade under `tickspan run` for `seconds`, ended as a user ends it; what it printed."""
    config = folder / "config.json"
    config.write_text(json.dumps(_config(folder, venue)), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))}
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
        "OTEL_SERVICE_NAME": "freqtrade",
        "TICKSPAN_SPOOL_DIR": str(folder / "spool"),
        "TICKSPAN_TRADING_ENVIRONMENT": "simulated",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    programs = ENVIRONMENT / "bin"
    bot = [str(programs / "freqtrade"), "trade", "--config", str(config), "--strategy", "Busy"]
    where = ["--strategy-path", str(ROOT / "tests" / "freqtrade"), "--userdir", str(folder)]
    with (folder / "bot.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(programs / "tickspan"), "run", "--", *bot, *where],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**kept, **settings},
            cwd=folder,
        )
        try:
            _wait(process, seconds)
            process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        return log.read()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and process.poll() is None:
        time.sleep(0.2)


def _config(folder: Path, venue: Connect) -> dict[str, Any]:
    """A live bot as its documentation describes it; the exchange's addresses are the simulated venue's."""
    ccxt = venue.ccxt_config()
    price = {"price_side": "other", "use_order_book": True, "order_book_top": 1}
    return {
        "bot_name": "busy",
        "dry_run": False,
        "trading_mode": "spot",
        "max_open_trades": len(PAIRS),
        "stake_currency": "USDT",
        "stake_amount": 50,
        "cancel_open_orders_on_exit": True,
        "unfilledtimeout": {"entry": 1, "exit": 1, "unit": "minutes"},
        "entry_pricing": {**price, "check_depth_of_market": {"enabled": False}},
        "exit_pricing": price,
        "exchange": {
            "name": "binance",
            "key": ccxt.pop("apiKey"),
            "secret": ccxt.pop("secret"),
            "ccxt_config": ccxt,
            "pair_whitelist": list(PAIRS),
            "pair_blacklist": [],
            "enable_ws": False,
        },
        "pairlists": [{"method": "StaticPairList"}],
        "initial_state": "running",
        "internals": {"process_throttle_secs": 1},
        "db_url": f"sqlite:///{folder / 'trades.sqlite'}",
    }


def _told(outcome: dict[str, Any]) -> str:
    rows = [f"{key.replace('_', ' '):34} {value}" for key, value in outcome.items() if key != "shortfalls"]
    verdict = "; ".join(outcome["shortfalls"]) or "every order and execution joined, nothing leaked"
    return "\n".join([*rows, f"{'verdict':34} {verdict}"])


if __name__ == "__main__":
    sys.exit(main())
