"""Credentials: the header values that processes handed over, in memory only."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from tickspan_spool.sender import Destination, destinations_from_environment

_MOST: Final = 256


class Account(NamedTuple):
    """For whom header values are: one service's, at one place. Two services may share a place, not a key."""

    service_name: str
    signal: str
    url: str
    protocol: str


class Credentials:
    """Header values by account; safe for any thread. Nothing of them shows in a repr."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take what the agent's own environment says for the processes that cannot say it any more."""
        # An agent is forbidden to instrument itself; that does not say that nobody exports.
        usable = {name: value for name, value in environ.items() if name != "OTEL_SDK_DISABLED"}
        self._inherited = {
            (found.signal, found.url, found.protocol): found.headers
            for found in destinations_from_environment(usable)
            if found.headers
        }
        self._lock = threading.Lock()
        self._given: dict[Account, Mapping[str, str]] = {}

    def __repr__(self) -> str:
        return f"<Credentials for {len(self._given)} accounts>"

    def take(self, request: Mapping[str, Any]) -> list[Account]:
        """Keep what a process hands over; returns those whose values are new.

        Raises:
            ValueError: the request is not what `hand_over_credentials` sends.
        """
        service_name, targets = request.get("service_name", ""), request.get("credentials")
        if not isinstance(targets, list) or not isinstance(service_name, str):
            raise ValueError(  # noqa: TRY004 - what a peer sends is a value, not a type
                "credentials: expected a list of destinations and a service's name"
            )
        return [
            account
            for target in cast("list[object]", targets)
            for account in [self._take_one(service_name, target)]
            if account is not None
        ]

    def find(self, service_name: str, destination: Destination, *, may_inherit: bool) -> Mapping[str, str]:
        """Header values for this destination; empty when unknown.

        `may_inherit`: whether those of the agent's own environment will do. A living process tells its own.
        """
        place = (destination.signal, destination.url, destination.protocol)
        with self._lock:
            given = self._given.get(Account(service_name, *place))
        if given is None and may_inherit:
            return self._inherited.get(place, {})
        return given or {}

    def _take_one(self, service_name: str, target: object) -> Account | None:
        match target:
            case {"signal": str(signal), "url": str(url), "protocol": str(protocol), "headers": dict(values)}:
                account = Account(service_name, signal, url, protocol)
                headers = {str(name): str(value) for name, value in cast("dict[Any, Any]", values).items()}
            case _:
                raise ValueError("credentials: expected signal, url, protocol and headers")
        with self._lock:
            if self._given.get(account) == headers:
                return None
            if len(self._given) >= _MOST and account not in self._given:
                self._given.pop(next(iter(self._given)))
            self._given[account] = headers
        return account
