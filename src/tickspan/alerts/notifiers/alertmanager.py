"""Alertmanager: alerts as `POST /api/v2/alerts` takes them. It folds, groups, routes and silences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.http import Poster, verdict_of
from tickspan.alerts.notifiers.notifier import Fate, Verdict

__all__ = ["LASTS_S", "AlertmanagerNotifier", "posted", "timestamp"]

PATH: Final = "/api/v2/alerts"
LASTS_S: Final = 60.0
"""How long an alert lasts there that nobody repeats."""


class AlertmanagerNotifier:
    """One Alertmanager; a notifier with several URLs has one of these for each."""

    per_minute: ClassVar[int] = 1_000_000

    def __init__(self, poster: Poster, trace_link: str = "") -> None:
        """`trace_link` is a template: `https://jaeger.example/trace/{{ trace_id }}`."""
        self._poster = poster
        self._trace_link = trace_link

    def __repr__(self) -> str:
        return f"<AlertmanagerNotifier {self._poster!r}>"

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        """Post them all. On 400 each once more alone: of a refused batch the valid ones are stored."""
        verdict, status = self._post(notices, now_s)
        if status != HTTPStatus.BAD_REQUEST or len(notices) == 1:
            return verdict
        refused: list[int] = []
        for index, notice in enumerate(notices):
            verdict, status = self._post([notice], now_s)
            if verdict.fate is Fate.LATER:
                return verdict
            if verdict.fate is Fate.REFUSED:
                refused.append(index)
        if not refused:
            return Verdict(Fate.TAKEN)
        return Verdict(Fate.TAKEN, f"{len(refused)} alerts were refused", refused=tuple(refused))

    def standing(self) -> frozenset[str] | None:
        """Fingerprints of the alerts that fire there; None when it does not say."""
        body = self._poster.fetch(PATH)
        try:
            return None if body is None else frozenset(str(one["fingerprint"]) for one in json.loads(body))
        except (ValueError, TypeError, KeyError):
            return None

    def _post(self, notices: Sequence[Notice], now_s: float) -> tuple[Verdict, int]:
        body = json.dumps([posted(notice.with_link(self._trace_link), now_s) for notice in notices])
        answer = self._poster.post(PATH, body.encode())
        return verdict_of(answer), answer.status


def posted(notice: Notice, now_s: float) -> Mapping[str, Any]:
    """A `postableAlert` of its `openapi.yaml`. What fires ends in a minute unless it is repeated."""
    ends_at_s = now_s + LASTS_S if notice.ends_at_s is None else notice.ends_at_s
    traced = {"trace_id": notice.trace_id} if notice.trace_id else {}
    ended = {"reason": notice.reason} if notice.reason else {}
    return {
        "labels": dict(notice.labels),
        "annotations": {**notice.annotations, "value": notice.words["value"], **traced, **ended},
        "startsAt": timestamp(notice.starts_at_s),
        "endsAt": timestamp(ends_at_s),
    }


def timestamp(wall_s: float) -> str:
    """RFC 3339 with milliseconds: `2026-11-26T10:17:00.250Z`."""
    moment = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
