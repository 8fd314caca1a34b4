"""The webhook: Alertmanager's JSON, version 4, to any address; signed where a secret is given."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.alertmanager import timestamp
from tickspan.alerts.notifiers.http import Poster, verdict_of
from tickspan.alerts.notifiers.notifier import Fate, Verdict
from tickspan.alerts.notifiers.secrets import OptionError, Secret

__all__ = ["SIGNATURE", "WebhookNotifier", "webhook_body"]

SIGNATURE: Final = "X-Tickspan-Signature"
"""`sha256=` and HMAC-SHA256 of the body, hexadecimal, by the notifier's secret."""
_MOST_ALERTS: Final = 100
_NEVER: Final = "0001-01-01T00:00:00Z"
"""As Alertmanager writes the end of what has not ended."""


class WebhookNotifier:
    """One address."""

    per_minute: ClassVar[int] = 20

    def __init__(
        self,
        name: str,
        poster: Poster,
        secret: Secret | None = None,
        trace_link: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`secret` signs each body; `trace_link` is a template."""
        self._name = name
        self._poster = poster
        self._secret = secret
        self._trace_link = trace_link
        self._environ = environ

    def __repr__(self) -> str:
        return f"<WebhookNotifier '{self._name}' {self._poster!r}>"

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        """One POST with all of them, 100 at most: the rest is counted in `truncatedAlerts`."""
        del now_s
        linked = [notice.with_link(self._trace_link) for notice in notices]
        body = json.dumps(webhook_body(self._name, linked)).encode()
        headers: dict[str, str] = {}
        if self._secret is not None:
            try:
                key = self._secret.value(self._environ).encode()
            except OptionError as error:
                return Verdict(Fate.LATER, str(error))
            headers[SIGNATURE] = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        return verdict_of(self._poster.post("", body, headers))


def webhook_body(receiver: str, notices: Sequence[Notice]) -> dict[str, Any]:
    """`template.Data` of Alertmanager, with `version`, `groupKey` and `truncatedAlerts`."""
    shown = notices[:_MOST_ALERTS]
    rules = sorted({notice.rule for notice in notices})
    labels = [dict(notice.labels) for notice in shown]
    return {
        "version": "4",
        "groupKey": "{}:{alertname=" + json.dumps(",".join(rules)) + "}",
        "truncatedAlerts": len(notices) - len(shown),
        "status": "resolved" if all(notice.is_resolved for notice in notices) else "firing",
        "receiver": receiver,
        "groupLabels": {"alertname": rules[0]} if len(rules) == 1 else {},
        "commonLabels": _common(labels),
        "commonAnnotations": _common([notice.annotations for notice in shown]),
        "externalURL": "",
        "alerts": [
            {
                "status": notice.state.value,
                "labels": dict(notice.labels),
                "annotations": dict(notice.annotations),
                "startsAt": timestamp(notice.starts_at_s),
                "endsAt": _NEVER if notice.ends_at_s is None else timestamp(notice.ends_at_s),
                "generatorURL": notice.annotations.get("trace_url", ""),
                "fingerprint": notice.fingerprint,
                "value": notice.words["value"],
                "traceId": notice.trace_id,
                "reason": notice.reason,
            }
            for notice in shown
        ],
    }


def _common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all of them have."""
    first, *others = mappings
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}
