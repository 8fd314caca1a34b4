"""Making: from the entries of a rule file's `notifiers` to notifiers, each with the name of its channel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from tickspan.alerts.notifiers.alertmanager import AlertmanagerNotifier
from tickspan.alerts.notifiers.email import EmailNotifier
from tickspan.alerts.notifiers.http import Poster
from tickspan.alerts.notifiers.notifier import Notifier
from tickspan.alerts.notifiers.secrets import OptionError, Secret
from tickspan.alerts.notifiers.slack import SlackNotifier
from tickspan.alerts.notifiers.webhook import WebhookNotifier
from tickspan.analysis.rules.ruleset import NotifierSettings

__all__ = ["IN_PROCESS", "Made", "make"]

IN_PROCESS: Final = frozenset({"callback", "log"})
"""Types that need no channel: the process itself sees to them."""


def _unknown() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Made:
    """A notifier and where its notices wait.

    Attributes:
        channel: its name in the queue; the same as long as it leads to the same place.
        notifier: that sends.
        is_folding: equal alerts of several senders become one there.
        name: that rules know it by.
        standing: asks for the fingerprints of the alerts that fire there; None where nobody says.
    """

    channel: str
    notifier: Notifier
    is_folding: bool
    name: str
    standing: Callable[[], frozenset[str] | None] = _unknown


def make(settings: NotifierSettings, environ: Mapping[str, str] = os.environ) -> Iterator[Made]:
    """The notifiers of one entry: one for each URL of an `alertmanager`, else one.

    Raises:
        OptionError: an option cannot be used; says which and why.
    """
    name, options = settings.name, settings.options
    link = str(options.get("trace_link", ""))
    match settings.type:
        case "alertmanager":
            for address in _addresses(options):
                channel = f"{name}/{sha256(repr(address).encode()).hexdigest()[:8]}"
                secret = Secret.of({"url": address}, "url", may_be_plain=True)
                assert secret is not None
                notifier = AlertmanagerNotifier(Poster(secret, options, environ), link)
                yield Made(channel, notifier, is_folding=True, name=name, standing=notifier.standing)
        case "webhook":
            poster = Poster(_address(options, may_be_plain=True), options, environ)
            signing = Secret.of(options, "secret")
            hook = WebhookNotifier(name, poster, signing, link, environ)
            yield Made(name, hook, is_folding=False, name=name)
        case "slack":
            poster = Poster(_address(options, may_be_plain=False), options, environ)
            yield Made(name, SlackNotifier(poster, link), is_folding=False, name=name)
        case "email":
            yield Made(name, EmailNotifier(options, environ), is_folding=False, name=name)
        case other if other in IN_PROCESS:
            return
        case other:
            raise OptionError(
                f"type: expected alertmanager, webhook, slack, email or callback, got '{other}'"
            )


def _addresses(options: Mapping[str, Any]) -> list[str]:
    given = options.get("urls", options.get("url", ()))
    addresses = [given] if isinstance(given, str) else [str(one) for one in given]
    if not addresses:
        raise OptionError("urls: expected a list of addresses like http://127.0.0.1:9093, got nothing")
    return addresses


def _address(options: Mapping[str, Any], *, may_be_plain: bool) -> Secret:
    address = Secret.of(options, "url", may_be_plain=may_be_plain)
    if address is None:
        raise OptionError("url: expected url_file or url, got neither")
    return address
