"""Foreign span processors, each behind a guard: one that fails never keeps the next from its turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor

from tickspan.providers.span import RecordedSpan
from tickspan.recording import Guard, Hooks

_METHODS: Final = ("on_start", "_on_ending", "on_end", "shutdown", "force_flush")


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
    ) -> Hooks | None:
        """What recorders call; None when there is nobody.

        Args:
            rewrite: sees an ending span before all others.
            notice: see a span that has ended, before processors do.
        """
        if not self._processors():
            if rewrite is None and not notice:
                return None
            return Hooks(None, rewrite, _in_turn(*notice) if notice else None)
        on_end = _in_turn(*notice, self._on_end) if notice else self._on_end
        if rewrite is None:
            return Hooks(self._on_start, self._on_ending, on_end)

        def on_ending(span: RecordedSpan) -> None:
            rewrite(span)
            self._on_ending(span)

        return Hooks(self._on_start, on_ending, on_end)

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


def _in_turn(*hooks: Callable[[Any], None]) -> Callable[[Any], None]:
    if len(hooks) == 1:
        return hooks[0]

    def each(span: RecordedSpan) -> None:
        for hook in hooks:
            hook(span)

    return each


def _guard_of(processor: Any) -> Guard:
    kind = type(processor)
    return Guard("processor", f"{kind.__module__}.{kind.__qualname__}")


def _start(processor: SpanProcessor, span: Any, context: Context) -> None:
    processor.on_start(span, parent_context=context)
