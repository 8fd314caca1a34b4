"""Who is let in: a decision about a request's head, and what stands in every answer's head.

The desk listens on loopback, where every web page that its user looks at can send requests too. What they
cannot do is tell the token, name the desk's own origin, or read an answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from typing import Final

__all__ = [
    "BODY_MAX",
    "HEADERS",
    "LOOPBACK",
    "Door",
    "Knock",
    "Refusal",
    "cookie_name",
    "is_token",
    "judge",
    "make_token",
    "name_of_host",
    "set_cookie",
]

LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})
"""Names in `Host` by which a desk on loopback is reached."""
BODY_MAX: Final = 64 * 1024
"""Bytes of the body of a POST."""
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer."""

_OPEN: Final = ("/static/",)
_GREETING: Final = frozenset({"/", "/login"})
_SAFE: Final = frozenset({"GET", "HEAD"})
_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Door:
    """What is asked of those who knock.

    Attributes:
        token: that they must know; None lets everybody in.
        hosts: names, in lower case and without a port, that `Host` may have.
    """

    token: str | None
    hosts: Collection[str] = LOOPBACK


@dataclass(frozen=True, slots=True)
class Knock:
    """The head of a request, as far as it matters here; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of what was asked for: one line."""

    status: HTTPStatus
    text: str


def judge(door: Door, knock: Knock) -> Refusal | None:
    """Why a request is turned away, or None.

    In this order: a `Host` that is none of the door's names is what a rebound DNS name brings, 403; an
    `Origin` that is not this very host, or a fetch that a foreign site started, 403; a method other than GET,
    HEAD and POST, 405; a body beyond `BODY_MAX`, 413, or of unknown length, 411; a POST of anything but JSON,
    which is what a foreign form could send, 415; no token, 401, except for static files and the page that
    asks for the token.
    """
    host = knock.headers.get("host", "")
    if name_of_host(host) not in door.hosts:
        return Refusal(HTTPStatus.FORBIDDEN, "this desk is not known by that host name")
    if not _is_from_here(knock, host):
        return Refusal(HTTPStatus.FORBIDDEN, "another site's page cannot ask this desk")
    return _judge_body(knock) or _judge_token(door, knock)


def _is_from_here(knock: Knock, host: str) -> bool:
    origin = knock.headers.get("origin")
    if origin is not None and origin.lower() not in {f"http://{host.lower()}", f"https://{host.lower()}"}:
        return False
    # A link from elsewhere is a navigation, and comes without the cookie.
    is_navigation = knock.headers.get("sec-fetch-mode") == "navigate" and knock.method in _SAFE
    return is_navigation or knock.headers.get("sec-fetch-site") not in {"cross-site", "same-site"}


def _judge_body(knock: Knock) -> Refusal | None:
    if knock.method in _SAFE:
        return None
    if knock.method != "POST":
        return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and POST are known here")
    length = knock.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return Refusal(HTTPStatus.LENGTH_REQUIRED, "a POST tells its Content-Length")
    if len(length) > len(str(BODY_MAX)) or int(length) > BODY_MAX:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {BODY_MAX} bytes")
    if knock.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a POST is application/json")
    return None


def _judge_token(door: Door, knock: Knock) -> Refusal | None:
    if door.token is None or knock.path in _GREETING or knock.path.startswith(_OPEN):
        return None
    if any(is_token(door, given) for given in _given_tokens(knock.headers)):
        return None
    return Refusal(HTTPStatus.UNAUTHORIZED, "open the address that `tickspan desk` printed: it has the token")


def is_token(door: Door, given: str) -> bool:
    """Whether it is the door's token; takes as long whatever is wrong. A door without a token has none."""
    return compare_digest((door.token or "").encode(), given.encode("utf-8", "replace")) and bool(door.token)


def is_known(door: Door, headers: Mapping[str, str]) -> bool:
    """Whether a request brings the token, or needs none."""
    return door.token is None or any(is_token(door, given) for given in _given_tokens(headers))


def _given_tokens(headers: Mapping[str, str]) -> list[str]:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = [bearer.strip()] if scheme.lower() == "bearer" else []
    wanted = cookie_name(headers.get("host", ""))
    for crumb in headers.get("cookie", "").split(";"):
        name, _, value = crumb.strip().partition("=")
        if name == wanted:
            given.append(value)
    return given


def name_of_host(host: str) -> str:
    """`Host` without its port, in lower case; an IPv6 address keeps its brackets."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host.lower()


def cookie_name(host: str) -> str:
    """Of the token's cookie: browsers keep one jar for all ports of a host, and two desks may run there."""
    port = host.rpartition(":")[2]
    return f"tickspan_desk_{port if port.isascii() and port.isdigit() else 'default'}"


def set_cookie(host: str, token: str) -> str:
    """The header that lets a browser in until it is closed."""
    return f"{cookie_name(host)}={token}; Path=/; HttpOnly; SameSite=Strict"


def make_token() -> str:
    """256 random bits, as 43 characters that an address may have."""
    return secrets.token_urlsafe(_TOKEN_BYTES)
