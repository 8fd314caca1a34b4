"""Slack, and what speaks its incoming-webhook JSON (Mattermost, Rocket.Chat, Discord's `/slack`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.http import Poster, verdict_of
from tickspan.alerts.notifiers.notifier import SHOWN, Verdict, headline, line_of

__all__ = ["SlackNotifier", "slack_body"]

_COLOURS: Final = {"info": "#439fe0", "warning": "warning", "error": "danger", "critical": "danger"}
_ESCAPED: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SlackNotifier:
    """One channel."""

    per_minute: ClassVar[int] = 20

    def __init__(self, poster: Poster, trace_link: str = "") -> None:
        """`trace_link` is a template."""
        self._poster = poster
        self._trace_link = trace_link

    def __repr__(self) -> str:
        return f"<SlackNotifier {self._poster!r}>"

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        """One message."""
        del now_s
        linked = [notice.with_link(self._trace_link) for notice in notices]
        return verdict_of(self._poster.post("", json.dumps(slack_body(linked)).encode()))


def slack_body(notices: Sequence[Notice]) -> dict[str, Any]:
    """The JSON of one message: its subject, an attachment for each alert, and how many more there are."""
    attachments = [_attachment(notice) for notice in notices[:SHOWN]]
    if len(notices) > SHOWN:
        attachments.append({"fallback": _more(notices), "text": _more(notices)})
    return {"text": headline(notices).translate(_ESCAPED), "attachments": attachments}


def _attachment(notice: Notice) -> dict[str, Any]:
    told: dict[str, Any] = {
        "color": "good" if notice.is_resolved else _COLOURS.get(notice.severity, "warning"),
        "fallback": line_of(notice).translate(_ESCAPED),
        "title": notice.rule.translate(_ESCAPED),
        "text": line_of(notice).translate(_ESCAPED),
        "fields": [
            {"title": name, "value": value.translate(_ESCAPED), "short": True}
            for name, value in notice.labels
            if name != "alertname"
        ],
        "ts": int(notice.ends_at_s or notice.starts_at_s),
    }
    link = notice.annotations.get("trace_url") or notice.annotations.get("runbook_url")
    return {**told, "title_link": link} if link else told


def _more(notices: Sequence[Notice]) -> str:
    return f"and {len(notices) - SHOWN} more"
