"""Applying presets to a program that runs, and taking that back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from tickspan.config import Origin, PresetRow, Reading, Settings, rows_of, with_values
from tickspan.presets.knobs import KNOBS, Knob, NotNowError, reason_for_start
from tickspan.presets.outcome import Outcome, State
from tickspan.presets.standing import noted, reading_used, use_reading
from tickspan.recording import diagnostics

__all__ = ["Applied", "apply"]

_STRONGER: Final = frozenset({"code", "environment", "file"})
_lock: Final = threading.RLock()


class Applied:
    """Presets in force in this process: until `undo()`, or the end of a `with` block.

    Undo in the opposite order of applying: each one puts back what it found.
    """

    def __init__(
        self, names: tuple[str, ...], outcomes: tuple[Outcome, ...], undo: Sequence[Callable[[], None]]
    ) -> None:
        self.names = names
        self.outcomes = outcomes
        """Of each row."""
        self._undo = list(undo)

    def __repr__(self) -> str:
        holding = sum(one.state in {State.APPLIED, State.HELD} for one in self.outcomes)
        return f"<Applied {', '.join(self.names)}: {holding} of {len(self.outcomes)} rows hold>"

    def of_state(self, state: State) -> tuple[Outcome, ...]:
        """The rows that became that."""
        return tuple(one for one in self.outcomes if one.state is state)

    def undo(self) -> None:
        """Put everything back as it was before, once."""
        with _lock:
            while self._undo:
                self._undo.pop()()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()


def apply(*names: str) -> Applied:
    """Change this process to presets, now: of a setting that several have, the last one counts.

    What the program, its environment or its file sets is stronger and stays. What can only be chosen at the
    start stays too, and is named in one warning. Plans for the garbage collector are applied at once, with
    one full collection: call it when the program is warm, or let the start do it (`memory.warm_up_s`).

    Raises:
        ValueError: a name is unknown; the text names the nearest.
    """
    rows = {row.key: (name, row) for name, row in rows_of(names)}
    with _lock:
        earlier, before = noted(), reading_used()
        decided = {key: _decided(row, before) for key, (_, row) in rows.items()}
        wanted = {key: row for key, (_, row) in rows.items() if decided[key] is None}
        after = with_values(before.settings, {key: row.value for key, row in wanted.items()})
        turned = _turned(wanted, before.settings, after)
        done = {key: rows[key] for key in wanted if turned.refused.get(key) is None}
        _note(before, done)
        outcomes = tuple(
            decided[key] or _outcome(row, turned.refused.get(key)) for key, (_, row) in rows.items()
        )
        applied = Applied(names, outcomes, [lambda: use_reading(earlier), *turned.undo])
    late = applied.of_state(State.AT_START)
    if late:
        named, told = ", ".join(names), ", ".join(one.row.key for one in late)
        diagnostics.warning("preset %s: only at the start (tickspan run --preset): %s", named, told)
    return applied


def _decided(row: PresetRow, reading: Reading) -> Outcome | None:
    """What a row becomes without any knob being turned; None for one that is to be applied."""
    origin = reading.origins[row.key]
    if with_values(reading.settings, {row.key: row.value}) == reading.settings:
        return Outcome(row, State.HELD)
    if origin.layer in _STRONGER:
        return Outcome(row, State.KEPT, str(origin))
    reason = reason_for_start(row.key)
    return None if reason is None else Outcome(row, State.AT_START, reason)


def _outcome(row: PresetRow, refusal: str | None) -> Outcome:
    return Outcome(row, State.APPLIED) if refusal is None else Outcome(row, State.AT_START, refusal)


@dataclass(frozen=True, slots=True)
class _Turned:
    undo: list[Callable[[], None]]
    refused: dict[str, str]
    """Why a setting was not changed, by key."""


def _turned(wanted: Mapping[str, PresetRow], before: Settings, after: Settings) -> _Turned:
    """Turn the knobs of all settings that are to change. A fault turns all of them back."""
    result = _Turned([], {})
    try:
        for knob in KNOBS:
            keys = [key for key in knob.keys if key in wanted]
            if keys:
                _turn(knob, keys, before, after, result)
    except BaseException:
        while result.undo:
            result.undo.pop()()
        raise
    return result


def _turn(knob: Knob, keys: Sequence[str], before: Settings, after: Settings, result: _Turned) -> None:
    try:
        result.undo.append(knob.turn(before, after))
    except NotNowError as error:
        result.refused.update(dict.fromkeys(keys, str(error)))


def _note(before: Reading, done: Mapping[str, tuple[str, PresetRow]]) -> None:
    """The settings in force are those of before with what was done."""
    values: dict[str, Any] = {key: row.value for key, (_, row) in done.items()}
    origins = {key: Origin("preset", name) for key, (name, _) in done.items()}
    settings = with_values(before.settings, values)
    use_reading(Reading(settings, {**before.origins, **origins}, before.problems))
