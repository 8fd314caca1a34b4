"""What is particular to a venue: its hosts, what its requests ask, how it names orders, why it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from tickspan.instrumentation import redact
from tickspan.trading.model import ClientIdUnique, OrderOperation, Reject, RejectOrigin, RejectReason

MAX_MESSAGE: Final = 256
"""Characters of a venue's reject text that are kept."""
_EXACT: Final = 1_000
MAX_BODY: Final = 4 * 1024
"""Characters of a request's body that a route is told by."""


class LimitField(StrEnum):
    """What a header tells of a budget."""

    USED = "used"
    REMAINING = "remaining"
    LIMIT = "limit"
    RESET = "reset"
    """Seconds from now, or a moment since 1970 in seconds or milliseconds."""


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@dataclass(frozen=True, slots=True)
class OrderRoute:
    """A request that is an order operation, by method and the whole path without its query."""

    method: str
    path: str
    """Regular expression."""
    operation: OrderOperation
    body: str | None = None
    """Regular expression that the body must hold, where one path serves several operations."""
    is_batch: bool = False

    def matches(self, method: str, path: str, body: str = "") -> bool:
        """Whether the request is this operation."""
        return (
            method.upper() == self.method
            and _compiled(self.path).fullmatch(path) is not None
            and (self.body is None or _compiled(self.body).search(body[:MAX_BODY]) is not None)
        )


@dataclass(frozen=True, slots=True)
class RateHeader:
    """A header that tells of a budget."""

    pattern: str
    """Regular expression for the whole name, in any case."""
    name: str
    """The budget, in a word: `request_weight`, `orders`."""
    scope: str
    """Its window or what it is counted by; `\\1` stands for the pattern's first group."""
    field: LimitField

    @property
    def matcher(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return _compiled(f"(?i:{self.pattern})")


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """Facts about one venue; the empty profile says nothing and harms nothing."""

    name: str
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Host, or `.suffix` for all hosts below one, to environment."""
    order_routes: tuple[OrderRoute, ...] = ()
    """The first that matches counts."""
    client_id_fields: tuple[str, ...] = (
        "newClientOrderId",
        "clientOrderId",
        "client_order_id",
        "clOrdId",
        "orderLinkId",
    )
    """Request fields that hold the client's order id, the most telling first."""
    client_id_unique: ClientIdUnique | None = None
    """Until when the venue refuses a second order with the same client id; None: nobody knows."""
    rate_headers: tuple[RateHeader, ...] = ()
    limits: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """Budget and scope to its size as documented, where answers do not tell it."""
    query_names: frozenset[str] = frozenset()
    """Query parameters whose values may be recorded."""
    secret_paths: tuple[str, ...] = ()
    """Paths with `{…}` where a segment opens an account: `/ws/{listenKey}`."""
    reasons: Mapping[str, RejectReason] = field(default_factory=dict[str, RejectReason])
    """Reject code to reason."""
    message_reasons: tuple[tuple[str, RejectReason], ...] = ()
    """Fragment of the reject text to reason, asked before the code: some codes mean many things."""

    def environment_of(self, host: str) -> str | None:
        """Which of the venue's environments `host` belongs to; None if it is not the venue's."""
        named = self._named(host)
        return self.hosts[named] if named is not None else None

    def closeness(self, host: str) -> int | None:
        """How exactly the venue names `host`, for comparison; None if it is not the venue's."""
        named = self._named(host)
        if named is None:
            return None
        return len(named) if named.startswith(".") else _EXACT

    def _named(self, host: str) -> str | None:
        name = host.lower().rstrip(".")
        if name in self.hosts:
            return name
        suffixes = (suffix for suffix in self.hosts if suffix.startswith(".") and name.endswith(suffix))
        return max(suffixes, key=len, default=None)

    def order_route(self, method: str, path: str, body: str = "") -> OrderRoute | None:
        """The order operation that a request is; None if it is none."""
        return next((route for route in self.order_routes if route.matches(method, path, body)), None)


def reject_of_code(profile: VenueProfile, code: str, message: str | None) -> Reject:
    """A refusal by the venue itself."""
    text = redact.text(message)[:MAX_MESSAGE] if message else None
    return Reject(
        f"{profile.name}:{code}", _reason(profile, code, text or ""), RejectOrigin.VENUE, code, text
    )


def _reason(profile: VenueProfile, code: str, text: str) -> RejectReason:
    for fragment, reason in profile.message_reasons:
        if fragment in text:
            return reason
    return profile.reasons.get(code, RejectReason.OTHER)


def client_id_in(profile: VenueProfile, request: str) -> str | None:
    """The client's order id in a request's query or body; None if it carries none, or several."""
    for name in profile.client_id_fields:
        pattern = rf"[?&\"'{{, ]{name}[\"']?\s?[=:]\s?[\"']?([\w.:/-]{{1,64}})"
        found = {match for match in re.findall(pattern, f"&{request}") if isinstance(match, str)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None
