"""The rule book: what a process evaluates, out of its rule file and out of its own code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tickspan.analysis.rules.model import Rule
from tickspan.analysis.rules.problems import RuleProblem
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.thresholds import with_thresholds
from tickspan.recording import diagnostics

if TYPE_CHECKING:
    import asyncio

    from tickspan.alerts.notice import Notice

__all__ = ["Listener", "Rulebook"]

_PACK: Final = "default"
"""In place of a file: the rules that tickspan brings."""
_MAX_LEFT: Final = 1_000
_TOLD: Final = 20
"""Problems of one version of a file that are told; the rest is a number."""


class Listener(NamedTuple):
    """Who is told of an alert in the program itself.

    Attributes:
        key: tells listeners apart.
        function: called with each notice, in a thread of its own; may be a coroutine function.
        loop: that a coroutine runs in.
    """

    key: str
    function: Callable[[Notice], Any]
    loop: asyncio.AbstractEventLoop | None


@dataclass(frozen=True, slots=True)
class _Added:
    rules: RuleSet
    listener: Listener | None


_Stamp = tuple[int, int, int] | None


class Rulebook:
    """Safe from any thread. Files are read by whoever calls `look_at_file`."""

    def __init__(
        self,
        path: Path | None = None,
        thresholds: Mapping[str, str] | None = None,
        *,
        is_strict: bool = False,
    ) -> None:
        """Read the file, if there is one.

        Args:
            path: of the rule file; it need not exist yet.
            thresholds: other thresholds for rules of the file, by name.
            is_strict: whether a mistake in the file is raised now, as `RuleFileError`.
        """
        self.invalid = 0
        """Problems of the file as it is now."""
        self.reloads = 0
        self._path = path
        self._thresholds = dict(thresholds or {})
        self._changing = threading.RLock()
        self._stamp: _Stamp = None
        self._file = RuleSet()
        self._added: dict[str, _Added] = {}
        self._listeners: dict[str, Listener] = {}
        self._left: dict[str, Listener] = {}
        """Listeners of rules that were removed: they are to hear of the ends of their alerts."""
        if path is not None:
            self._stamp = _stamp(path)
            if self._stamp is not None or str(path) == _PACK:
                self._read(path, is_strict=is_strict, is_first=True)

    def __repr__(self) -> str:
        return f"<Rulebook {len(self._file.rules)} rules of {self._path}, {len(self._added)} of code>"

    @property
    def path(self) -> Path | None:
        """The rule file."""
        return self._path

    def look_at_file(self) -> bool:
        """Read the file again if it has changed. Returns whether other rules are to be evaluated.

        A file with a mistake is told once, and the last good version stays. So does it when the file is gone.
        """
        if self._path is None:
            return False
        stamp = _stamp(self._path)
        if stamp == self._stamp or stamp is None:
            return False
        is_first, self._stamp = self._stamp is None, stamp
        self.reloads += not is_first
        return self._read(self._path, is_strict=False, is_first=is_first)

    def rules(self) -> RuleSet:
        """All rules. One in code takes the place of one of the same name in the file."""
        with self._changing:
            added = list(self._added.values())
        named = {rule.name: rule for rule in self._file.rules}
        calendars = dict(self._file.calendars)
        metrics = dict(self._file.metrics)
        for one in added:
            named.update({rule.name: rule for rule in one.rules.rules})
            calendars.update(one.rules.calendars)
            metrics.update(one.rules.metrics)
        return RuleSet(tuple(named.values()), calendars, self._file.notifiers, metrics)

    def add(self, rules: RuleSet, listener: Listener | None) -> None:
        """Evaluate one more rule. Raises ValueError when there is one of that name from code."""
        name = rules.rules[0].name
        with self._changing:
            if name in self._added:
                raise ValueError(f"rule '{name}' is there already; remove it first")
            self._left.pop(name, None)
            self._added[name] = _Added(rules, listener)

    def remove(self, name: str) -> bool:
        """Forget a rule that was added; whether there was one."""
        with self._changing:
            added = self._added.pop(name, None)
            if added is not None and added.listener is not None:
                if len(self._left) >= _MAX_LEFT:
                    self._left.clear()
                self._left[name] = added.listener
            return added is not None

    def take_over(self, other: Rulebook | None) -> None:
        """Have what another book was told in code."""
        if other is not None:
            self._added, self._listeners = other._added, other._listeners  # noqa: SLF001 - our own class

    def listen(self, listener: Listener) -> None:
        """Tell a function of alerts whose rules notify everybody, or the notifier of its key."""
        with self._changing:
            self._listeners[listener.key] = listener

    def callbacks_of(self, rule: Rule) -> list[Listener]:
        """Who in this program is told of a rule's alerts."""
        with self._changing:
            added = self._added.get(rule.name)
            found = [one for key, one in self._listeners.items() if not rule.notify or key in rule.notify]
            own = self._left.get(rule.name) if added is None else added.listener
        return found if own is None else [*found, own]

    def _read(self, path: Path, *, is_strict: bool, is_first: bool) -> bool:
        from tickspan.alerts.file import (  # the catalogue: only where there is a file
            RuleFileError,
            read_rules,
        )

        rules, problems = read_rules(path)
        rules, others = with_thresholds(rules, self._thresholds)
        problems = (*problems, *others)
        self.invalid = len(problems)
        if is_strict and problems:
            raise RuleFileError(problems)
        self._tell(problems, is_kept=not is_first)
        if problems and not is_first:
            return False
        self._file = rules
        return True

    def _tell(self, problems: tuple[RuleProblem, ...], *, is_kept: bool) -> None:
        for problem in problems[:_TOLD]:
            diagnostics.warning("alerts: %s", problem)
        if len(problems) > _TOLD:
            diagnostics.warning("alerts: and %d more", len(problems) - _TOLD)
        if problems and is_kept:
            diagnostics.warning("alerts: the last good version of %s stays", self._path)


def _stamp(path: Path) -> _Stamp:
    """What changes when the file does; None when it cannot be looked at."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino)
