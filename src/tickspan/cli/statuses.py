"""What the exit status of each verb says. The help ends with it, and the reference page is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["COMMON", "INTERRUPTED", "STATUSES", "UNREAD", "epilog_of"]

INTERRUPTED: Final = 130
UNREAD: Final = 141
"""As a shell tells of a program that SIGPIPE ended."""
COMMON: Final[Mapping[int, str]] = {2: "wrong usage or bad input", INTERRUPTED: "interrupted"}
"""Of every verb that does not say otherwise."""

STATUSES: Final[Mapping[str, Mapping[int, str]]] = {
    "run": {127: "there is no such program"},
    "demo": {0: "every order is explained", 1: "one is not", 2: "the demo cannot run, or wrong usage"},
    "doctor": {0: "all is well", 1: "a finding fails"},
    "agent run": {0: "it was told to end", 1: "another agent runs"},
    "agent status": {0: "nothing waits in vain", 1: "something waits and no agent lives"},
    "agent drain": {0: "nothing waits any more", 1: "something still waits after --timeout"},
    "agent stop": {0: "it has ended, or none ran", 1: "it has not ended after --timeout"},
    "agent dead list": {0: "done"},
    "agent dead show": {0: "done", 1: "there is no such dead letter"},
    "agent dead redrive": {0: "all are sent", 1: "one could not be, or no agent answers"},
    "queries top": {0: "done", 3: "the database cannot be asked"},
    "queries findings": {
        0: "no finding is as bad as --fail-on",
        1: "one is",
        3: "the database cannot be asked",
    },
    "queries explain": {
        0: "done",
        2: "the statement is refused, or wrong usage",
        3: "the database cannot be asked",
    },
    "queries advise": {0: "done", 3: "the database cannot be asked"},
    "queries verify": {0: "the index helps", 1: "it does not", 3: "the database cannot be asked"},
    "metrics": {0: "there was something to show", 1: "nothing is recorded"},
    "alerts status": {0: "nothing fires", 1: "something does, or an evaluator has a problem"},
    "alerts silence": {0: "done", 1: "there is no such silence"},
    "alerts check": {0: "the rules are right", 1: "a file has a problem, or nobody evaluates a rule"},
    "alerts test": {0: "all came true", 1: "something did not, or a rule is wrong"},
    "alerts compile": {0: "written", 1: "rules are wrong, or something would be lost; nothing is written"},
    "alerts gateway": {0: "it was told to end"},
    "bench all": {0: "all targets are met", 1: "one is missed", 2: "something is not there, or wrong usage"},
    "bench cache": {0: "measured", 1: "a wrong value came back"},
    "bench redis": {0: "measured", 1: "a wrong value came back"},
    "bench pools": {0: "measured", 1: "a wrong value came back"},
    "logs search": {0: "something was found", 1: "nothing was"},
    "logs tail": {0: "--seconds are over"},
    "logs verify": {0: "every chain is whole", 1: "one is not"},
    "profile": {127: "there is no such program"},
    "profile record": {0: "written", 3: "the process did not answer"},
    "profile report": {0: "done"},
    "profile diff": {0: "no function takes more", 1: "one does"},
    "tail": {0: "it was interrupted, a limit is reached, or nobody reads any more"},
    "completion": {0: "done"},
}


_LAUNCHERS: Final = (("run",), ("profile",))


def epilog_of(path: tuple[str, ...]) -> str:
    """The last lines of the help; empty where nothing is known."""
    own = STATUSES.get(" ".join(path))
    if own is None:
        return ""
    first = "the program's own; " if path in _LAUNCHERS else ""
    told = {**COMMON, **own}
    if path == ("tail",):
        del told[INTERRUPTED]
    return f"exit status: {first}{'; '.join(f'{status} {told[status]}' for status in sorted(told))}"
