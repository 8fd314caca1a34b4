"""Whether a third party's profile can be used: the first field that cannot is named."""

# A third party hands in whatever it likes: what the types promise is what is checked here.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import LimitField, OrderRoute, RateHeader, VenueProfile

_HOST: Final = re.compile(r"\.?[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MAX_SHOWN: Final = 80


def problem_of(profile: object) -> str | None:
    """What is wrong with `profile`, as `field: expected …, got …`; None if nothing is."""
    if not isinstance(profile, VenueProfile):
        return f"expected a VenueProfile, got {_shown(profile)}"
    return next((problem for check in _CHECKS for problem in check(profile)), None)


def _name(profile: VenueProfile) -> Iterable[str]:
    if not _is_text(profile.name):
        yield _expected("name", "a non-empty str", profile.name)


def _hosts(profile: VenueProfile) -> Iterable[str]:
    if not isinstance(profile.hosts, Mapping):
        yield _expected("hosts", "a mapping of host to environment", profile.hosts)
        return
    for host, environment in profile.hosts.items():
        if not (_is_text(host) and _HOST.fullmatch(host)):
            yield _expected("hosts", "a host in lower case, or '.suffix'", host)
        if not _is_text(environment):
            yield _expected(f"hosts[{host!r}]", "an environment such as 'live'", environment)


def _order_routes(profile: VenueProfile) -> Iterable[str]:
    for place, route in _items("order_routes", profile.order_routes):
        if not isinstance(route, OrderRoute):
            yield _expected(place, "an OrderRoute", route)
        elif route.method not in _METHODS:
            yield _expected(f"{place}.method", f"one of {', '.join(_METHODS)}", route.method)
        elif not isinstance(route.operation, OrderOperation):
            yield _expected(f"{place}.operation", "an OrderOperation", route.operation)
        else:
            yield from _pattern(f"{place}.path", route.path)
            if route.body is not None:
                yield from _pattern(f"{place}.body", route.body)


def _rate_headers(profile: VenueProfile) -> Iterable[str]:
    for place, header in _items("rate_headers", profile.rate_headers):
        if not isinstance(header, RateHeader):
            yield _expected(place, "a RateHeader", header)
        elif not _is_text(header.name):
            yield _expected(f"{place}.name", "a non-empty str", header.name)
        elif not isinstance(header.field, LimitField):
            yield _expected(f"{place}.field", f"one of {', '.join(LimitField)}", header.field)
        else:
            yield from _pattern(f"{place}.pattern", header.pattern)
            yield from _scope(place, header)


def _scope(place: str, header: RateHeader) -> Iterable[str]:
    if not isinstance(header.scope, str):
        yield _expected(f"{place}.scope", "a str", header.scope)
        return
    try:
        groups = header.matcher.groups
    except (re.error, TypeError):
        return  # told of the pattern
    asked = [int(number) for number in re.findall(r"\\(\d+)", header.scope)]
    if any(number > groups for number in asked):
        yield _expected(f"{place}.scope", f"references to one of {groups} groups", header.scope)


def _texts(profile: VenueProfile) -> Iterable[str]:
    for name in ("client_id_fields", "query_names", "secret_paths"):
        for place, text in _items(name, getattr(profile, name)):
            if not _is_text(text):
                yield _expected(place, "a non-empty str", text)
    for place, path in _items("secret_paths", profile.secret_paths):
        if not (path.startswith("/") and re.search(r"\{\w+\}", path)):
            yield _expected(place, "a path such as '/ws/{listenKey}'", path)


def _unique(profile: VenueProfile) -> Iterable[str]:
    known = profile.client_id_unique
    if known is not None and not isinstance(known, ClientIdUnique):
        yield _expected("client_id_unique", f"one of {', '.join(ClientIdUnique)}", known)


def _limits(profile: VenueProfile) -> Iterable[str]:
    if not isinstance(profile.limits, Mapping):
        yield _expected("limits", "a mapping of (budget, scope) to its size", profile.limits)
        return
    for place, size in profile.limits.items():
        if not isinstance(size, int | float) or size <= 0:
            yield _expected(f"limits[{place!r}]", "a number above 0", size)


def _reasons(profile: VenueProfile) -> Iterable[str]:
    if not isinstance(profile.reasons, Mapping):
        yield _expected("reasons", "a mapping of code to RejectReason", profile.reasons)
        return
    pairs = [(f"reasons[{code!r}]", code, reason) for code, reason in profile.reasons.items()]
    for place, pair in _items("message_reasons", profile.message_reasons):
        if not (isinstance(pair, tuple) and len(pair) == len(("fragment", "reason"))):
            yield _expected(place, "a fragment and a RejectReason", pair)
            return
        pairs.append((place, *pair))
    for place, text, reason in pairs:
        if not _is_text(text):
            yield _expected(place, "a non-empty str", text)
        if not isinstance(reason, RejectReason):
            yield _expected(place, "a RejectReason", reason)


_CHECKS: Final[tuple[Callable[[VenueProfile], Iterable[str]], ...]] = (
    _name,
    _hosts,
    _order_routes,
    _unique,
    _rate_headers,
    _limits,
    _texts,
    _reasons,
)


def _items(name: str, values: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(values, tuple | list | frozenset):
        return [(name, values)]
    return [(f"{name}[{number}]", value) for number, value in enumerate(values)]


def _pattern(place: str, pattern: object) -> Iterable[str]:
    if not _is_text(pattern):
        yield _expected(place, "a regular expression", pattern)
        return
    try:
        re.compile(str(pattern))
    except re.error as error:
        yield f"{place}: expected a regular expression, got {_shown(pattern)}: {error}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _expected(place: str, what: str, got: object) -> str:
    return f"{place}: expected {what}, got {_shown(got)}"


def _shown(value: object) -> str:
    return repr(value)[:_MAX_SHOWN]
