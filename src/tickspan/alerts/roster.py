"""The roster: alerts that fire, as the evaluators whose words come together here see them.

One alert may be seen by a process and by the agent. It is told once, and who may end it is its owner.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from tickspan.alerts.notice import Notice, NoticeState
from tickspan.analysis.rules.tiers import Tier

__all__ = ["LAPSES_S", "Claim", "Roster", "Standing", "Word"]

LAPSES_S: Final = 60.0
"""How long an alert lasts of which nobody says any more that it fires, as at an Alertmanager."""

Claim: TypeAlias = tuple[Tier, str]
"""An evaluator, and the process that it is; "" for the agent and the gateway."""


@dataclass(frozen=True, slots=True)
class Word:
    """What notifiers are to be told.

    Attributes:
        notice: the alert.
        is_for_folding: those that fold equal alerts, such as an Alertmanager, are told.
        is_for_others: the others are.
    """

    notice: Notice
    is_for_folding: bool = True
    is_for_others: bool = True


@dataclass(slots=True)
class Standing:
    """An alert that fires.

    Attributes:
        notice: as it was told.
        claims: who says that it fires.
        lapses_at_s: when it is taken as ended, while nobody does.
    """

    notice: Notice
    claims: set[Claim] = field(default_factory=set[Claim])
    lapses_at_s: float | None = None

    def to_json(self) -> str:
        """For a file."""
        return json.dumps([self.notice.to_json(), sorted([tier.value, name] for tier, name in self.claims)])


class Roster:
    """Decides; it tells nobody. For one thread at a time. Times are the wall clock's."""

    def __init__(self) -> None:
        self._standing: dict[str, Standing] = {}

    def __repr__(self) -> str:
        return f"<Roster {len(self._standing)} firing>"

    @property
    def standing(self) -> Mapping[str, Standing]:
        """All alerts that fire, by fingerprint."""
        return self._standing

    def take(self, notice: Notice, now_s: float) -> Word | None:
        """An evaluator's notice; what is to be told of it, if anything."""
        return self._ended(notice, now_s) if notice.is_resolved else self._fires(notice)

    def lapse(self, now_s: float) -> list[Word]:
        """Alerts of which nobody has said for a minute that they fire: an Alertmanager ended them itself."""
        words: list[Word] = []
        for fingerprint, standing in list(self._standing.items()):
            if standing.lapses_at_s is not None and now_s >= standing.lapses_at_s:
                del self._standing[fingerprint]
                ended = standing.notice.resolved(standing.lapses_at_s, "expired")
                words.append(Word(ended, is_for_folding=False, is_for_others=not ended.is_for_folding_only))
        return words

    def firing(self) -> list[Notice]:
        """The alerts that are to be repeated: somebody says that they fire."""
        return [standing.notice for standing in self._standing.values() if standing.claims]

    def claimed_by(self, claim: Claim) -> list[Notice]:
        """What one evaluator says that it fires."""
        tier, process = claim
        return [
            replace(standing.notice, evaluator=tier, process=process)
            for standing in self._standing.values()
            if claim in standing.claims
        ]

    def restore(self, bodies: Iterable[str], now_s: float, grace_s: float) -> None:
        """What stood when an earlier process ended. It lapses after `grace_s` unless it is said again."""
        for body in bodies:
            try:
                text, claims = json.loads(body)
                notice = Notice.from_json(text)
                known: set[Claim] = {(Tier(tier), str(name)) for tier, name in claims}
            except (ValueError, TypeError):
                continue
            del known  # who said so may be gone
            self._standing[notice.fingerprint] = Standing(notice, set(), now_s + grace_s)

    def _fires(self, notice: Notice) -> Word | None:
        known = self._standing.get(notice.fingerprint)
        claim = (notice.evaluator, notice.process)
        if known is not None:
            known.claims.add(claim)
            known.lapses_at_s = None
            earliest = min(known.notice.starts_at_s, notice.starts_at_s)
            known.notice = replace(notice, starts_at_s=earliest)
            return None
        self._standing[notice.fingerprint] = Standing(notice, {claim})
        return Word(notice, is_for_others=not notice.is_for_folding_only)

    def _ended(self, notice: Notice, now_s: float) -> Word | None:
        known = self._standing.get(notice.fingerprint)
        if known is None:
            return None
        known.claims.discard((notice.evaluator, notice.process))
        told = replace(notice, state=NoticeState.RESOLVED, starts_at_s=known.notice.starts_at_s)
        if notice.is_owners or notice.is_speakers:
            if notice.is_owners:
                del self._standing[notice.fingerprint]
                return Word(told, is_for_others=not notice.is_for_folding_only)
            if not known.claims:
                del self._standing[notice.fingerprint]
            return Word(told, is_for_folding=False, is_for_others=not notice.is_for_folding_only)
        if not known.claims:
            known.lapses_at_s = now_s + LAPSES_S
        return None
