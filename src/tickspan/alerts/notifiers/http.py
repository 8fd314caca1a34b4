"""Posting: one HTTP request with a deadline over all of it; no redirect is followed, no cookie kept."""

from __future__ import annotations

import os
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from tickspan_spool.sender.connecting import Resolver, connect
from tickspan_spool.sender.deadline import Countdown, DeadlineTlsSocket
from tickspan_spool.sender.proxies import proxy_for
from tickspan_spool.sender.retry_after import retry_after_s

from tickspan.alerts.notifiers.notifier import Fate, Verdict
from tickspan.alerts.notifiers.secrets import OptionError, Secret
from tickspan.version import __version__

__all__ = ["TIMEOUT_S", "Answer", "Poster", "verdict_of"]

TIMEOUT_S: Final = 5.0
_ANSWER_BYTES: Final = 4096
_FETCHED_BYTES: Final = 4 * 1024 * 1024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LATER: Final = frozenset({408, 425, 429})
_FIRST_REDIRECT, _FIRST_OF_CLIENT, _FIRST_OF_SERVER = 300, 400, 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status: of HTTP; 0 when there was no answer.
        wait_s: that it asks for.
        trouble: what went wrong on the way; "" when an answer came. Never an address's path, user or query.
    """

    status: int = 0
    wait_s: float = 0.0
    trouble: str = ""


def verdict_of(answer: Answer) -> Verdict:
    """2xx is taken; no answer, 408, 425, 429 and 5xx are for another time; all else is refused."""
    if answer.trouble:
        return Verdict(Fate.LATER, answer.trouble)
    if _FIRST_REDIRECT > answer.status >= 200:  # noqa: PLR2004 - the first of success
        return Verdict(Fate.TAKEN)
    told = f"answered {answer.status}"
    if answer.status in _LATER or answer.status >= _FIRST_OF_SERVER:
        return Verdict(Fate.LATER, told, answer.wait_s)
    if answer.status < _FIRST_OF_CLIENT:
        told += ": redirects are not followed"
    return Verdict(Fate.REFUSED, told)


class Poster:
    """Posts JSON to one address. For one thread."""

    def __init__(
        self,
        address: Secret,
        options: Mapping[str, Any],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Options: `bearer_token` or `username` with `password` (secrets), `ca_file`, `timeout` in seconds.

        Raises:
            OptionError: one of them cannot be used.
        """
        self._address = address
        self._token = Secret.of(options, "bearer_token")
        self._user = str(options.get("username", ""))
        self._password = Secret.of(options, "password")
        self._ca_file = options.get("ca_file")
        self._timeout_s = _timeout(options)
        self._environ = environ
        self._countdown = Countdown(time.monotonic)
        self._resolver = Resolver()

    def __repr__(self) -> str:
        return f"<Poster to {self._address!r}>"

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """One POST to the address, with `path` after its own. Never raises for what the network does."""
        return self._asked("POST", path, body, headers or {})[0]

    def fetch(self, path: str) -> bytes | None:
        """What a GET of `path` after the address gives; None when it gives nothing, or more than 4 MiB."""
        answer, body = self._asked("GET", path, None, {})
        return body if answer.status == HTTPStatus.OK and len(body) <= _FETCHED_BYTES else None

    def _asked(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer, bytes]:
        self._countdown.start(self._timeout_s)
        try:
            url = _split(self._address.value(self._environ))
        except OptionError as error:
            return Answer(trouble=str(error)), b""
        place = f"{url.hostname}:{url.port or _DEFAULT_PORTS[url.scheme]}"
        try:
            return self._exchange(method, url, path, body, headers)
        except OptionError as error:
            return Answer(trouble=str(error)), b""
        except (OSError, HTTPException, ValueError) as error:
            return Answer(trouble=f"{place}: {self._explained(error)}"), b""

    def _explained(self, error: Exception) -> str:
        """What went wrong, without anything that was sent."""
        match error:
            case ssl.SSLError():
                return f"TLS: {getattr(error, 'verify_message', '') or error.reason}"
            case TimeoutError():
                return f"no answer within {self._timeout_s:g} s"
            case OSError():
                return error.strerror or str(error)
            case _:
                return f"not an HTTP answer ({type(error).__name__})"

    def _exchange(
        self, method: str, url: SplitResult, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer, bytes]:
        host, port = url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]
        target = (url.path.rstrip("/") + path if path else url.path) or "/"
        if url.query:
            target += f"?{url.query}"
        proxy = proxy_for(url.scheme, host, port, self._environ)
        connection = self._connection(url.scheme, host, port, proxy)
        try:
            if proxy and url.scheme == "http":
                target = f"http://{url.netloc.rpartition('@')[2]}{target}"
            connection.request(method, target, body=body, headers=self._headers(url, headers))
            response = connection.getresponse()
            # What a server says besides its status is for nobody: it may repeat what it was sent.
            told = response.read(_ANSWER_BYTES if body is not None else _FETCHED_BYTES + 1)
            wait_s = retry_after_s(response.getheader("Retry-After"), response.getheader("Date"))
            return Answer(response.status, wait_s), b"" if body is not None else told
        finally:
            connection.close()

    def _connection(self, scheme: str, host: str, port: int, proxy: str | None) -> HTTPConnection:
        first = urlsplit(proxy) if proxy else None
        first_host, first_port = (first.hostname or "", first.port or 80) if first else (host, port)
        if scheme == "http":
            connection = _Plain(first_host, first_port)
        else:
            connection = _Secure(first_host, first_port, context=self._context())
            if first is not None:
                user = f"{unquote(first.username)}:{unquote(first.password or '')}" if first.username else ""
                known = {"Proxy-Authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}
                connection.set_tunnel(host, port, known)
        connection.opener = lambda: connect(self._resolver, first_host, first_port, self._countdown)
        return connection

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
        except FileNotFoundError as error:
            raise OptionError(f"ca_file {self._ca_file}: {error.strerror}") from None
        context.sslsocket_class = type(
            "DeadlineTlsSocket", (DeadlineTlsSocket,), {"countdown": self._countdown}
        )
        return context

    def _headers(self, url: SplitResult, headers: Mapping[str, str]) -> dict[str, str]:
        given = {
            "User-Agent": f"tickspan/{__version__}",
            "Content-Type": "application/json",
            "Connection": "close",
            **headers,
        }
        if self._token is not None:
            given["Authorization"] = f"Bearer {self._token.value(self._environ)}"
        elif self._user and self._password is not None:
            given["Authorization"] = _basic(self._user, self._password.value(self._environ))
        elif url.username:
            given["Authorization"] = _basic(unquote(url.username), unquote(url.password or ""))
        return given


class _Plain(HTTPConnection):
    opener: Any = None

    def connect(self) -> None:
        self.sock = self.opener()


class _Secure(HTTPSConnection):
    opener: Any = None

    def connect(self) -> None:
        self.sock = self.opener()
        name = self.host
        if self._tunnel_host:  # pyright: ignore[reportAttributeAccessIssue] - as the standard library's own `connect`
            self._tunnel()  # pyright: ignore[reportAttributeAccessIssue] - the same
            name = self._tunnel_host  # pyright: ignore[reportAttributeAccessIssue] - the same
        self.sock = self._context.wrap_socket(self.sock, server_hostname=name)  # pyright: ignore[reportAttributeAccessIssue] - the same


def _split(url: str) -> SplitResult:
    """The parts of an address. Raises OptionError, which does not show it: it may be a secret."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isascii():
        raise OptionError("url: expected http://host[:port]/path or https://host[:port]/path, in ASCII")
    return urlsplit(url)


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _timeout(options: Mapping[str, Any]) -> float:
    given = options.get("timeout", TIMEOUT_S)
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= 60:  # noqa: PLR2004 - a minute: as long as an alert lasts that nobody repeats
        raise OptionError(f"timeout: expected up to 60 seconds, got '{given}'")
    return seconds
