"""Which host is which venue's: known by the venues' profiles, or named in the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tickspan.trading import VenueProfile, profile_of, profile_of_host

Place = tuple[VenueProfile, str | None]
"""A venue and the environment that a host of its is for; None where only the settings know."""

_FORM: Final = "gateway.example:8080=binance or gateway.example=binance/testnet"


class Places:
    """Hosts and their venues. Immutable after construction; safe from any thread.

    Args:
        named: hosts of one's own that speak a venue's protocol, `host[:port]=venue[/environment]`.

    Raises:
        ValueError: one of `named` is not of that form.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = dict(_parsed(text) for text in named)

    def __repr__(self) -> str:
        return f"<Places {len(self._named)} named>"

    def find(self, host: str, port: int | None) -> Place | None:
        """The venue behind a host; None if it is none that we know."""
        named = self._named.get(f"{host}:{port}") or self._named.get(host)
        return named if named is not None else profile_of_host(host)


def _parsed(text: str) -> tuple[str, Place]:
    host, equals, venue = text.strip().partition("=")
    name, slash, environment = venue.partition("/")
    if not (host and equals and name) or (slash and not environment):
        raise ValueError(f"trading.hosts: expected {_FORM}, got {text!r}")
    return host.lower(), (profile_of(name), environment or None)
