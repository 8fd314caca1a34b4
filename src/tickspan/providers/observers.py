"""Foreign span processors, each behind a guard: one that fails never keeps the next from its turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor

from tickspan.providers.span import RecordedSpan
from tickspan.recording import Guard, Hooks

_METHODS: Final = ("on_start", "_on_ending", "on_end", "shutdown", "force_flush")


class RootWatch:
    """Sees spans that have no parent in this process: when they start, and when they can still be changed."""

    __slots__ = ("_ending", "_started")

    def __init__(self, started: Callable[[Any], None], ending: Callable[[Any], None]) -> None:
        self._started = started
        self._ending = ending

    def start(self, span: RecordedSpan, _context: Context) -> None:
        """A span has started."""
        if span.parent_id is None or span.parent_is_remote:
            self._started(span)

    def end(self, span: RecordedSpan) -> None:
        """A span ends."""
        if span.parent_id is None or span.parent_is_remote:
            self._ending(span)


class RootProcessor(SpanProcessor):
    """The same for the SDK's spans."""

    def __init__(self, started: Callable[[Any], None], ending: Callable[[Any], None]) -> None:
        self._started = started
        self._ending = ending

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """A span has started."""
        del parent_context
        if span.parent is None or span.parent.is_remote:
            self._started(span)

    def _on_ending(self, span: Any) -> None:
        if span.parent is None or span.parent.is_remote:
            self._ending(span)


class SpanWatch(NamedTuple):
    """Sees every span: when it has started, with its context, and when it can still be changed."""

    started: Callable[[Any, Any], None]
    ending: Callable[[Any], None]


class SpanWatchProcessor(SpanProcessor):
    """The same for the SDK's spans."""

    def __init__(self, watch: SpanWatch) -> None:
        self._watch = watch

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """A span has started."""
        self._watch.started(span, parent_context)

    def _on_ending(self, span: Any) -> None:
        self._watch.ending(span)


class Observers:
    """Asks the processors that `processors()` names, in their order."""

    __slots__ = ("_guards", "_processors")

    def __init__(self, processors: Callable[[], tuple[SpanProcessor, ...]]) -> None:
        self._processors = processors
        self._guards: dict[int, Guard] = {}

    def __repr__(self) -> str:
        return f"<Observers {len(self._processors())} processors>"

    def hooks(
        self,
        rewrite: Callable[[Any], None] | None = None,
        notice: Sequence[Callable[[Any], None]] = (),
        roots: RootWatch | None = None,
        watched: Sequence[SpanWatch] = (),
    ) -> Hooks | None:
        """What recorders call; None when there is nobody.

        Args:
            rewrite: sees an ending span before all others.
            notice: see a span that has ended, before processors do.
            roots: sees local root spans, before processors do.
            watched: see all spans, before processors do.
        """
        is_asked = bool(self._processors())
        hooks = Hooks(
            _in_turn(
                *[watch.started for watch in watched],
                *[roots.start] if roots else [],
                *[self._on_start] if is_asked else [],
            ),
            _in_turn(
                *[rewrite] if rewrite else [],
                *[watch.ending for watch in watched],
                *[roots.end] if roots else [],
                *[self._on_ending] if is_asked else [],
            ),
            _in_turn(*notice, *[self._on_end] if is_asked else []),
        )
        return hooks if hooks.on_start or hooks.on_ending or hooks.on_end else None

    def shutdown(self) -> None:
        """Shut each of them down, also one that was switched off."""
        for processor in self._processors():
            _guard_of(processor).user(processor.shutdown, default=None)

    def force_flush(self, timeout_millis: float) -> bool:
        """Flush each of them, all within one budget; False when one did not come to its end."""
        deadline = time.monotonic() + timeout_millis / 1e3
        is_done = True
        for processor in self._processors():
            left_millis = max(0, int((deadline - time.monotonic()) * 1e3))
            is_done &= bool(self._guard(processor).user(processor.force_flush, left_millis, default=False))
        return is_done

    def _on_start(self, span: RecordedSpan, context: Context) -> None:
        for processor in self._processors():
            self._guard(processor).user(_start, processor, span, context, default=None)

    def _on_ending(self, span: RecordedSpan) -> None:
        for processor in self._processors():
            self._guard(processor).user(processor._on_ending, span, default=None)  # noqa: SLF001 - the specification's OnEnding, still private upstream

    def _on_end(self, span: RecordedSpan) -> None:
        finished = span._readable_span()  # noqa: SLF001 - the SDK's name for it
        for processor in self._processors():
            self._guard(processor).user(processor.on_end, finished, default=None)

    def _guard(self, processor: Any) -> Guard:
        known = self._guards.get(id(processor))
        if known is None:
            known = self._guards[id(processor)] = _guard_of(processor)
        return known


def _in_turn(*hooks: Callable[..., None]) -> Callable[..., None] | None:
    if not hooks:
        return None
    if len(hooks) == 1:
        return hooks[0]

    def each(*args: Any) -> None:
        for hook in hooks:
            hook(*args)

    return each


def _guard_of(processor: Any) -> Guard:
    kind = type(processor)
    return Guard("processor", f"{kind.__module__}.{kind.__qualname__}")


def _start(processor: SpanProcessor, span: Any, context: Context) -> None:
    processor.on_start(span, parent_context=context)
