"""What a recording process asks of its agent: to be there, and to know the credentials of destinations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from .control import ask
from .election import Holder, holder
from .launch import ensure
from .places import AgentPlaces

HANDING_OVER_S: Final = 0.5


class Target(Protocol):
    """A destination, as far as its credentials go."""

    @property
    def signal(self) -> str:
        """What is sent there."""
        ...

    @property
    def url(self) -> str:
        """Where."""
        ...

    @property
    def protocol(self) -> str:
        """How."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """With which header values."""
        ...


class Plan(Protocol):
    """As much of `SpoolPlan` as the link needs."""

    @property
    def directory(self) -> Path:
        """The spool."""
        ...

    @property
    def agent(self) -> str:
        """One of "auto", "external", "thread", "off"."""
        ...

    @property
    def service_name(self) -> str:
        """Whose records."""
        ...

    @property
    def destinations(self) -> Sequence[Target]:
        """Where they go."""
        ...


_TOLD: dict[AgentPlaces, tuple[int, Holder]] = {}
"""Which agent was told our credentials, and by which process: a forked child tells its own."""


def ensure_running(plan: Plan, *, is_last: bool = False) -> bool:
    """Whether an agent takes care of this spool: one that runs, or was started just now.

    Meant to be called by a keeper thread about once a second; cheap when an agent runs. It also hands over
    the credentials of the destinations to an agent that does not have them from us. False for "thread" and
    "off", and when no agent can be started: the caller sends by itself then. `is_last` when it will not ask
    again. Never raises.
    """
    if plan.agent not in {"auto", "external"}:
        return False
    places = AgentPlaces.of(plan.directory)
    agent = ensure(places, is_last=is_last) if plan.agent == "auto" else _present(places)
    if agent is not None:
        _introduce(plan, places, agent)
    return agent is not None or plan.agent == "external"


def _present(places: AgentPlaces) -> Holder | None:
    """A service of this very environment; one of another environment has its own credentials."""
    try:
        return holder(places)
    except OSError:
        return None


def _introduce(plan: Plan, places: AgentPlaces, agent: Holder) -> None:
    """Tell an agent that has not been told yet."""
    us = (os.getpid(), agent)
    if agent.pid and _TOLD.get(places) != us and hand_over_credentials(plan):
        _TOLD[places] = us


def hand_over_credentials(plan: Plan) -> bool:
    """Tell the agent the header values of our destinations; True when it has them, or there are none.

    They go to a process of the same user, over its Unix socket, into its memory and nowhere else. Never
    raises.
    """
    told = [_credentials(target) for target in plan.destinations if target.headers]
    if not told:
        return True
    request = {"credentials": told, "service_name": plan.service_name}
    answer = ask(AgentPlaces.of(plan.directory).socket, request, HANDING_OVER_S)
    return bool(answer and answer.get("ok"))


def _credentials(target: Target) -> dict[str, Any]:
    return {
        "signal": target.signal,
        "url": target.url,
        "protocol": target.protocol,
        "headers": dict(target.headers),
    }
