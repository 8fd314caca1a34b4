"""The station: an evaluator outside of the processes that are measured, with what it needs to last.

It has the rule file, which it reads anew when it changes, the engine, the delivery to notifiers, and the
checkpoint from which a later station goes on.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from tickspan.alerts.checkpoint import FILE, Checkpoint, read_checkpoint
from tickspan.alerts.engine import Engine, EngineTransition
from tickspan.alerts.file import RuleFileError, read_rules
from tickspan.alerts.notice import Notice, notice_of
from tickspan.alerts.notifiers.delivery import Delivery
from tickspan.analysis.rules.alert import AlertState
from tickspan.analysis.rules.problems import RuleProblem
from tickspan.analysis.rules.readings import Sender
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.thresholds import with_thresholds
from tickspan.analysis.rules.tiers import Tier
from tickspan.recording import diagnostics

__all__ = ["Change", "Station"]

_LOOK_EVERY_S: Final = 2.0
_SAVE_EVERY_S: Final = 10.0
_SAVE_SOON_S: Final = 1.0


class Change(NamedTuple):
    """A change of an alert's state, and what notifiers are told of it, if anything."""

    change: EngineTransition
    notice: Notice | None


class Station:
    """For one thread. `now_s` is by the engine's clock, `wall_s` the same moment since 1970."""

    def __init__(
        self,
        tier: Tier,
        tiers: AbstractSet[Tier],
        rules: Path,
        folder: Path | None,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        on_word: Callable[[Notice], None] | None = None,
        thresholds: Mapping[str, str] | None = None,
        *,
        is_strict: bool = False,
    ) -> None:
        """Begin, or go on where an earlier station of this folder ended; `begin` says when.

        Args:
            tier: who evaluates.
            tiers: that are configured.
            rules: the rule file.
            folder: for queue, silences and checkpoint; None keeps nothing.
            environ: for secrets and proxies.
            wall: seconds since 1970.
            clock: monotonic seconds.
            on_word: see `Delivery`.
            thresholds: other ones than the file's, by name of the rule.
            is_strict: whether mistakes in the rule file are raised; else they are told and left out.

        Raises:
            RuleFileError: see `is_strict`.
        """
        self.tier: Final = tier
        self._rules_path = rules
        self._folder = folder
        self._wall = wall
        self._clock = clock
        self._version = _version(rules)
        self._thresholds = dict(thresholds or {})
        self._trouble = ""
        self._rules, problems = self._read()
        if problems and is_strict:
            raise RuleFileError(problems)
        self._tell_problems(problems, "these are left out")
        self.engine: Final = Engine(self._rules, tier, tiers)
        self.delivery: Final = Delivery(self._rules.notifiers, folder, environ, wall, clock, on_word)
        self._look_at_s = clock() + _LOOK_EVERY_S
        self._save_at_s = -math.inf
        self._saved_s = -math.inf

    def __repr__(self) -> str:
        return f"<Station {self.engine!r}, {self.delivery!r}>"

    @property
    def rules(self) -> RuleSet:
        """What the rule file said last."""
        return self._rules

    @property
    def trouble(self) -> str:
        """Why the rule file as it is now is not used; "" when it is."""
        return self._trouble

    def begin(self, now_s: float, wall_s: float) -> Checkpoint | None:
        """Take up the checkpoint, and say again of what fires that it fires. Returns what was taken up."""
        kept = None if self._folder is None else read_checkpoint(self._folder / FILE, self._wall())
        if kept is not None:
            outage_s = max(0.0, wall_s - float(kept.state.get("evaluated_s", kept.written_s)))
            self.engine.restore(kept.state.get("engine", {}), now_s, outage_s)
            self._confirm(now_s, wall_s)
        return kept

    def evaluate(self, now_s: float, wall_s: float, *, only_events: bool = False) -> list[Change]:
        """Evaluate, tell the notifiers, and give all changes, pending ones too."""
        return self._told(self.engine.evaluate(now_s, wall_s, only_events=only_events), now_s, wall_s)

    def gone(self, sender: Sender, now_s: float, wall_s: float) -> list[Change]:
        """A process has ended."""
        return self._told(self.engine.gone(sender, now_s), now_s, wall_s)

    def look(self, now_s: float, wall_s: float) -> list[Change]:
        """Read the rule file anew if it has changed; one with mistakes is told and changes nothing."""
        clock_s = self._clock()
        if clock_s < self._look_at_s:
            return []
        self._look_at_s = clock_s + _LOOK_EVERY_S
        version = _version(self._rules_path)
        if version == self._version:
            return []
        self._version = version
        rules, problems = self._read()
        self._tell_problems(problems, "the rules stay as they were")
        if problems or not version:
            return []
        self._rules = rules
        changes = self._told(self.engine.replace(rules, now_s), now_s, wall_s)
        self.delivery.use(rules.notifiers)
        self._confirm(now_s, wall_s)
        return changes

    def save(self, wall_s: float, *, at_once: bool = False, more: Mapping[str, Any] | None = None) -> bool:
        """Write the checkpoint if it is due; whether it was written.

        Args:
            wall_s: of the last evaluation, since 1970.
            at_once: whether or not it is due.
            more: what else to keep.
        """
        clock_s = self._clock()
        if self._folder is None or not (at_once or clock_s >= self._save_at_s):
            return False
        self._save_at_s, self._saved_s = clock_s + _SAVE_EVERY_S, clock_s
        state = {
            "tier": self.tier.value,
            "pid": os.getpid(),
            "rule_file": str(self._rules_path),
            "evaluated_s": wall_s,
            "engine": self.engine.snapshot(),
            "status": self.status(),
            **(more or {}),
        }
        try:
            Checkpoint(self._wall(), state).write(self._folder / FILE)
        except OSError as error:
            diagnostics.warning("alerts: no checkpoint in %s: %s", self._folder, error.strerror)
            return False
        return True

    def status(self) -> dict[str, Any]:
        """For people: rules, alerts, notifiers."""
        return {
            "tier": self.tier.value,
            "rules": len(self.engine.rules),
            "trouble": self._trouble,
            "problems": dict(self.engine.problems()),
            "alerts": [_shown(rule.name, alert) for rule, alert in self.engine.active()],
            "firing": [
                {
                    "rule": notice.rule,
                    "labels": dict(notice.labels),
                    "since_s": notice.starts_at_s,
                    "value": notice.words["value"],
                    "evaluator": notice.evaluator.value,
                    "trace_id": notice.trace_id,
                }
                for notice in self.delivery.firing()
            ],
            "delivery": asdict(self.delivery.statistics()),
            "at_s": self._wall(),
        }

    def close(self) -> None:
        """End the delivery; what waits stays on disk."""
        self.delivery.close()

    def _read(self) -> tuple[RuleSet, tuple[RuleProblem, ...]]:
        rules, problems = read_rules(self._rules_path)
        rules, more = with_thresholds(rules, self._thresholds)
        return rules, (*problems, *more)

    def _tell_problems(self, problems: tuple[RuleProblem, ...], what: str) -> None:
        self._trouble = str(RuleFileError(problems)) if problems else ""
        if problems:
            diagnostics.error("alerts: %s\nalerts: %s", self._trouble, what)

    def _told(self, transitions: Iterable[EngineTransition], now_s: float, wall_s: float) -> list[Change]:
        changes = [
            Change(
                change,
                notice_of(
                    change.rule,
                    change.transition.alert,
                    wall_s=wall_s,
                    now_s=now_s,
                    evaluator=self.tier,
                    configured=self.engine.tiers,
                    reason=change.transition.reason,
                ),
            )
            for change in transitions
        ]
        notices = [notice for _, notice in changes if notice is not None]
        if notices:
            self.delivery.tell(notices)
        if changes:
            self._save_at_s = min(self._save_at_s, self._saved_s + _SAVE_SOON_S)
        return changes

    def _confirm(self, now_s: float, wall_s: float) -> None:
        """Say of what fires that it fires: an earlier process may have told it, or not have come to that."""
        notices: list[Notice] = []
        for rule, alert in self.engine.active():
            if alert.state is AlertState.FIRING:
                notice = notice_of(
                    rule,
                    alert,
                    wall_s=wall_s,
                    now_s=now_s,
                    evaluator=self.tier,
                    configured=self.engine.tiers,
                )
                if notice is not None:
                    notices.append(notice)
        self.delivery.tell(notices)


def _shown(rule: str, alert: Any) -> dict[str, Any]:
    return {
        "rule": rule,
        "labels": dict(alert.labels),
        "state": alert.state.value,
        "value": None if math.isnan(alert.value) else alert.value,
    }


def _version(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)
