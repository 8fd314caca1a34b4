"""How Redis is reached and how long anything may take: settings, and the place that they name."""

from __future__ import annotations

import dataclasses
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

__all__ = ["Place", "RemoteSettings", "connection_arguments", "keepalive_options"]

_SENTINEL_SCHEMES: Final = ("redis+sentinel://", "rediss+sentinel://")
_CLUSTER_SCHEMES: Final = ("redis+cluster://", "rediss+cluster://")
_SENTINEL_PORT: Final = 26_379
_UNHEARD_MS: Final = 1000
"""After how long without an acknowledgement the system drops a connection and what it has not delivered."""
_OURS: Final = frozenset(
    {
        "connection_class",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "legacy_responses",
        "retry_on_error",
        "retry_on_timeout",
        "timeout",
    }
)
"""Options of redis-py's URLs that the cache decides itself."""
_LIMITS: Final = {
    "socket_timeout": "timeout_s",
    "socket_connect_timeout": "connect_timeout_s",
    "max_connections": "max_connections",
}
_KEPT: Final = frozenset({"client_name", "protocol", "socket_keepalive", "socket_read_size"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where Redis is and how to log in. No secret shows in its `repr`."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    """Of a Unix socket, instead of host and port."""
    db: int = 0
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    credential_provider: Any = field(default=None, repr=False)
    """redis-py's `CredentialProvider`, asked at each connection."""
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str | None = None
    """What the sentinels call the primary."""
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    cluster: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Further arguments of redis-py's connections, such as `ssl_ca_certs`."""

    def __str__(self) -> str:
        if self.path is not None:
            return f"{self.path}/{self.db}"
        if self.service is not None:
            return f"{self.service}/{self.db}"
        return f"{self.host}:{self.port}/{self.db}"

    def at(self, host: str, port: int) -> Place:
        """The same, on another server."""
        return dataclasses.replace(self, host=host, port=port)

    def login(self) -> dict[str, Any]:
        """Arguments of redis-py for who we are; they exclude one another."""
        if self.credential_provider is not None:
            return {"credential_provider": self.credential_provider}
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Redis as the cache uses it; times in seconds. No secret shows in its `repr`.

    A URL says where the server is, in redis-py's spelling, `redis://`, `rediss://`, `unix://`, and besides
    `redis+sentinel://host:26379,host:26379/service/db` and `redis+cluster://host:port`. Without one, `host`,
    `port`, `path`, `db`, `tls` count. A user name or password given here is used where the URL has none.

    Raises:
        ValueError: a limit is out of its range, or the URL is none of those.
    """

    url: str | None = field(default=None, repr=False)
    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    db: int = 0
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    credential_provider: Any = field(default=None, repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str | None = None
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    cluster: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    timeout_s: float = 0.05
    """Of one operation on a connection that stands."""
    connect_timeout_s: float = 0.25
    """Of a connection, handshakes included; an operation that has to wait for one may take both."""
    max_connections: int = 100
    """Of blocking callers, and of each event loop for large values."""
    max_pending: int = 10_000
    """Commands of one event loop that wait for a reply; more are refused."""
    large_bytes: int = 64 * 1024
    """A larger command of an event loop goes over a connection of its own, so that others need not wait."""
    breaker_failures: int = 5
    """Failures in a row that open the breaker."""
    breaker_min_s: float = 1.0
    """How long it stays open at first; each failed probe doubles that."""
    breaker_max_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("timeout_s", "connect_timeout_s", "breaker_min_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"redis {name}: expected a number of seconds above 0, got {value!r}")
        for name in ("max_connections", "max_pending", "large_bytes", "breaker_failures"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"redis {name}: expected 1 or more, got {value!r}")
        if self.breaker_max_s < self.breaker_min_s:
            raise ValueError(
                f"redis breaker_max_s: expected at least breaker_min_s, got {self.breaker_max_s!r}"
            )
        if bool(self.sentinels) != (self.service is not None):
            raise ValueError("redis sentinels and service: expected both, or none of them")

    def with_url(self, url: str) -> RemoteSettings:
        """These settings for the server of `url`; limits that the URL names (`socket_timeout`) win.

        Raises:
            ValueError: as the class.
            ModuleNotFoundError: redis-py is not installed.
        """
        limits = {_LIMITS[name]: value for name, value in _parsed(_plain(url)[0]).items() if name in _LIMITS}
        settings = dataclasses.replace(self, url=url, **limits)
        settings.place()
        return settings

    def place(self) -> Place:
        """Where the server is.

        Raises:
            ValueError: the URL is not one of Redis's, or has an option that is unknown.
            ModuleNotFoundError: redis-py is not installed.
        """
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(Place)}
        if self.url is None:
            return Place(**given)
        plain, further = _plain(self.url)
        parsed = _parsed(plain)
        options = {name: value for name, value in parsed.items() if name in _KEPT or name.startswith("ssl_")}
        if "protocol" in options:
            options["protocol"] = int(options["protocol"])  # a str before redis-py 8
        unknown = parsed.keys() - options.keys() - _OURS - _LIMITS.keys() - given.keys()
        if unknown:
            raise ValueError(f"redis url: unknown option {min(unknown)!r}")
        given |= {name: value for name, value in parsed.items() if name in given and name != "options"}
        given["tls"] = plain.startswith("rediss://")
        given["options"] = {**self.options, **options}
        return Place(**{**given, **further})


def connection_arguments(place: Place, settings: RemoteSettings) -> dict[str, Any]:
    """Arguments of a redis-py connection, sync or async, to a place."""
    arguments: dict[str, Any] = {
        "db": place.db,
        **place.login(),
        "protocol": 3,
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.connect_timeout_s,
        **place.options,
    }
    if place.path is not None:
        return arguments | {"path": place.path}
    return arguments | {
        "host": place.host,
        "port": place.port,
        "socket_keepalive": True,
        "socket_keepalive_options": keepalive_options(),
    }


def keepalive_options() -> dict[int, int]:
    """Options of TCP for our connections.

    What a peer does not acknowledge is given up after a second, so that a write that has failed for its
    caller does not arrive much later.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    return {} if option is None else {option: _UNHEARD_MS}


def _plain(url: str) -> tuple[str, dict[str, Any]]:
    """A URL as redis-py parses it, and what it cannot say."""
    scheme, mark, rest = url.partition("://")
    prefix = f"{scheme}{mark}"
    if prefix in _CLUSTER_SCHEMES:
        return f"{scheme.partition('+')[0]}://{rest}", {"cluster": True}
    if prefix not in _SENTINEL_SCHEMES:
        return url, {}
    body, question, query = rest.partition("?")
    authority, _, path = body.partition("/")
    login, at, hosts = authority.rpartition("@")
    service, _, db = path.partition("/")
    sentinels = tuple(_address(host) for host in hosts.split(",") if host)
    if not sentinels or not service:
        raise ValueError("redis url: expected redis+sentinel://host:port,host:port/service/db")
    first, port = sentinels[0]
    plain = f"{scheme.partition('+')[0]}://{login}{at}{first}:{port}/{db or 0}{question}{query}"
    return plain, {"sentinels": sentinels, "service": unquote(service)}


def _address(text: str) -> tuple[str, int]:
    host, mark, port = text.rpartition(":")
    if not mark:
        return text, _SENTINEL_PORT
    if not port.isdigit():
        raise ValueError("redis url: expected a port number after a sentinel's host")
    return host, int(port)


def _parsed(url: str) -> dict[str, Any]:
    from tickspan.cache.remote.libraries import connections

    try:
        parsed = dict(connections.parse_url(url))
    except ValueError as error:
        # redis-py's own message holds no part of the URL but the option's name.
        raise ValueError(f"redis url: {error}") from None
    database = urlsplit(url).path.strip("/")
    if not url.startswith("unix://") and database and not database.isdecimal():
        raise ValueError("redis url: expected a number as the database, such as redis://host:6379/0")
    return parsed
