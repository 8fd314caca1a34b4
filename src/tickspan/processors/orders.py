"""Venues' URLs, on spans and log records of whatever instrumentor: what opens an account never stays in them.

Every URL that is recorded loses its query, and segments that look like tokens. Profiles of venues know
better: which parameters may stay, and which paths hold a secret that looks like nothing (`/ws/{listenKey}`).
That goes for URLs in attributes, exceptions and log texts alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from tickspan.recording.urls import HostRule, add_host_rules

__all__ = ["install", "rule_of"]

_MAX_HOSTS = 1_000


def install() -> Callable[[], None]:
    """Let venues' profiles have a say in every URL from now on; returns what stops that."""
    return add_host_rules(rule_of)


@lru_cache(maxsize=_MAX_HOSTS)
def rule_of(host: str) -> HostRule | None:
    """What a venue's profile says of the URLs of `host`; None where no venue lives there."""
    # Nobody who has no venue's client installed is to wait for it at start: 50 ms, at the first URL.
    from tickspan.trading.venues import profile_of_host

    found = profile_of_host(host)
    if found is None:
        return None
    profile, _environment = found
    return HostRule(profile.query_names, profile.secret_paths)
