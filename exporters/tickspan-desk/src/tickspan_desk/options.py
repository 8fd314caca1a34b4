"""Options: what a desk is asked to be."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

__all__ = ["DEFAULT_PORT", "GRPC_PORT", "OTLP_PORT", "DeskOptions", "add_options", "age", "url"]

DEFAULT_PORT: Final = 8321
OTLP_PORT: Final = 4318
GRPC_PORT: Final = 4317
_LARGEST_PORT: Final = 65_535
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", re.IGNORECASE)
_SIZES: Final[Mapping[str, int]] = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_AGES: Final[Mapping[str, float]] = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LEAST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """One desk.

    Attributes:
        spool: the spool whose processes it shows.
        store: its file; None keeps everything in a temporary one.
        port: of the page; None is 8321, or the next that is free.
        otlp_port: of OTLP/HTTP; None is 4318, or any that is free.
        max_bytes: of the store.
        max_age_s: of what is in it.
        has_grpc: whether OTLP over gRPC is taken too, on 4317 or any free port.
        elsewhere: an address of this machine that is no loopback, to listen on as well.
        forward: where everything is sent on to; empty for nowhere.
        load: a session to be shown.
        starts_agent: whether it starts an agent where none runs.
    """

    spool: Path
    store: Path | None
    port: int | None = None
    otlp_port: int | None = None
    max_bytes: int = 1 << 30
    max_age_s: float = 7 * 86_400.0
    has_grpc: bool = False
    elsewhere: str = ""
    forward: str = ""
    load: Path | None = None
    starts_agent: bool = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what `tickspan desk` takes when it serves."""
    parser.add_argument(
        "--port", type=_port, metavar="P", help=f"of the page ({DEFAULT_PORT}, or the next that is free)"
    )
    parser.add_argument(
        "--otlp-port", type=_port, metavar="P", help=f"of OTLP/HTTP ({OTLP_PORT}, or any that is free)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--store",
        type=Path,
        metavar="FILE",
        help="what is kept (a file beside the spool: yesterday's is there)",
    )
    where.add_argument("--memory", action="store_true", help="keep nothing beyond its end")
    parser.add_argument(
        "--max-bytes", type=_size, default=1 << 30, metavar="SIZE", help="of the store, the oldest go (1G)"
    )
    parser.add_argument(
        "--max-age", type=age, default=7 * 86_400.0, metavar="AGE", help="of what is kept, such as 12h (7d)"
    )
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=False,
        dest="opens",
        help="open the page in a browser (no)",
    )
    parser.add_argument(
        "--listen-elsewhere",
        type=_elsewhere,
        metavar="ADDRESS",
        help="listen on this address too, unencrypted; senders there need the token",
    )
    parser.add_argument("--forward", type=url, metavar="URL", help="send on to this collector what arrives")
    parser.add_argument("--load", type=Path, metavar="FILE", help="show a session that 'save' has written")
    parser.add_argument("--grpc", action="store_true", help=f"take OTLP over gRPC too ({GRPC_PORT})")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {_LARGEST_PORT}, got '{text}'")
    return int(text)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * _SIZES[found[2].lower()]) if found else 0
    if size < _LEAST_BYTES:
        raise argparse.ArgumentTypeError(f"expected a size of at least 1M, such as 512M or 2G, got '{text}'")
    return size


def age(text: str) -> float:
    """Seconds; raises `argparse.ArgumentTypeError` for what is no positive length of time."""
    found = _AGE.fullmatch(text.strip())
    seconds = float(found[1]) * _AGES[found[2]] if found else 0.0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(
            f"expected a length of time such as 90s, 15m, 12h or 7d, got '{text}'"
        )
    return seconds


def url(text: str) -> str:
    """The base URL of a collector; raises `argparse.ArgumentTypeError` for what is none."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise argparse.ArgumentTypeError(f"expected a URL such as http://collector:4318, got '{text}'")
    return text


def _elsewhere(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an IP address of this machine, got '{text}'") from None
    if address.is_unspecified:
        raise argparse.ArgumentTypeError(
            "name one address of this machine: all of them at once is not offered"
        )
    if address.is_loopback:
        raise argparse.ArgumentTypeError(f"{text} is loopback, where it listens anyway")
    return text
