"""The command line of the simulated venue: knobs become flags, and each error is one line and status 2."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from tickspan.testing.venue import dialects
from tickspan.testing.venue.behaviour import Behaviour, Fault, Point
from tickspan.testing.venue.simulator import API_KEY, SECRET, VenueSimulator

_DESCRIPTION = """\
A trading venue on this machine, to test a bot against: real protocols, scripted fills, faults on demand.
It holds one account with play money. Nothing reaches a real exchange.

Point your client at it (with ccxt in Python):

    from tickspan.testing.venue import Connect
    exchange = Connect(url, api_key, secret).ccxt(ccxt.pro.binance({}))

It prints one line with its address when it is ready, and runs until SIGINT or SIGTERM.
"""


def _epilog() -> str:
    lines = ["faults, for --rate, --next and POST /_venue/fault?name=FAULT, and what your bot lives through:"]
    for point in Point:
        lines.append(f"\n  {point.value}:")
        lines += [f"    {fault.value:18} {fault.story}" for fault in Fault if fault.point is point]
    lines.append("\nGET /_venue/truth returns what really happened, as JSON: orders, executions, requests,")
    lines.append("and what your bot asked for that this venue does not have.")
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] (exits as well)
        self.exit(2, f"{self.prog}: {message}\n")


def main(words: Sequence[str] | None = None) -> int:
    """Run a venue until a signal asks it to stop; the exit status."""
    parser = _parser()
    arguments = parser.parse_args(words)
    try:
        venue = VenueSimulator(
            dialect=arguments.dialect,
            seed=arguments.seed,
            behaviour=_behaviour(arguments),
            port=arguments.port,
            api_key=arguments.api_key,
            secret=arguments.secret,
        )
        for fault in arguments.next:
            venue.next(fault)
        return _serve(venue, as_json=arguments.json)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        where = f"port {arguments.port} on 127.0.0.1: {os.strerror(error.errno or 0)}"
        parser.error(f"{where}; give another --port, or 0 for any free one")
    return 2


def _serve(venue: VenueSimulator, *, as_json: bool) -> int:
    asked_to_stop = threading.Event()

    def stop(*_: object) -> None:
        asked_to_stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with venue:
        _announce(venue, as_json=as_json)
        asked_to_stop.wait()
    return 0


def _announce(venue: VenueSimulator, *, as_json: bool) -> None:
    connect = venue.connect
    ready = {
        "dialect": venue.dialect,
        "url": connect.url,
        "ws_url": connect.ws_url,
        "host": connect.address[0],
        "port": connect.address[1],
        "api_key": connect.api_key,
        "secret": connect.secret,
    }
    text = json.dumps({**ready, "seed": venue.seed})
    if not as_json:
        where = connect.url if venue.dialect in dialects.WEB else "{}:{}".format(*connect.address)
        text = f"venue ready at {where}, api key {connect.api_key}, secret {connect.secret}"
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m tickspan.testing.venue",
        description=_DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    spoken = ", ".join(dialects.names())
    parser.add_argument("--dialect", default="binance", help=f"protocol: {spoken} (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="on 127.0.0.1; 0: any free one (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same prices and script (default: 0)")
    parser.add_argument("--api-key", default=API_KEY, help="the account's key (default: %(default)s)")
    parser.add_argument("--secret", default=SECRET, help="the account's secret (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the ready line as JSON")
    parser.add_argument(
        "--next", action="append", default=[], metavar="FAULT", help="let FAULT strike once; repeatable"
    )
    parser.add_argument(
        "--rate", action="append", default=[], metavar="FAULT=CHANCE", type=_rate, help="repeatable"
    )
    _add_knobs(parser)
    return parser


def _add_knobs(parser: argparse.ArgumentParser) -> None:
    knobs = parser.add_argument_group("knobs (durations in seconds)")
    usual = Behaviour()
    for knob in fields(Behaviour):
        if knob.name == "rates":
            continue
        flag, default = "--" + knob.name.replace("_", "-"), getattr(usual, knob.name)
        story = f"{knob.metadata['story']} (default: {_written(default)})".replace("%", "%%")
        if isinstance(default, bool):
            knobs.add_argument(flag, action="store_true", help=knob.metadata["story"])
        else:
            read, form = _READERS[knob.name] if knob.name in _READERS else (type(default), "N")
            knobs.add_argument(flag, type=read, default=default, metavar=form, help=story)


def _behaviour(arguments: argparse.Namespace) -> Behaviour:
    knobs = {knob.name: getattr(arguments, knob.name) for knob in fields(Behaviour) if knob.name != "rates"}
    return Behaviour(**knobs, rates=dict(arguments.rate))


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:  # noqa: PLR2004 (the largest port there is)
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {text!r}")
    return int(text)


def _rate(text: str) -> tuple[Fault, float]:
    name, _, chance = text.partition("=")
    try:
        return Fault(name), float(chance)
    except ValueError as error:
        message = str(error) if str(error).startswith("fault") else f"expected FAULT=CHANCE, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected shares such as 0.4,0.6; got {text!r}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _amounts(text: str) -> Mapping[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(asset and equals and amount for asset, equals, amount in pairs):
        raise argparse.ArgumentTypeError(f"expected amounts such as USDT=1000,BTC=1; got {text!r}")
    return {asset: amount for asset, _, amount in pairs}


_READERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "partials": (_shares, "SHARES"),
    "symbols": (_words, "PAIRS"),
    "balances": (_amounts, "AMOUNTS"),
    "fee_asset": (str, "ASSET"),
}


def _written(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(str(part) for part in default)
    if isinstance(default, Mapping):
        return ",".join(f"{asset}={amount}" for asset, amount in default.items())
    return str(default) or "what is received"
