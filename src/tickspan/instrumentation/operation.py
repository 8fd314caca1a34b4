"""What a call is, decided before it runs, and what its failure means: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from tickspan.recording import AttributeValue, Preset, SpanRecorder

Attributes = Mapping[str, AttributeValue]

NO_ATTRIBUTES: Final[Attributes] = {}

SECONDS_FROM_10_US: Final = (
    *(round(digit * 10.0**power, 10) for power in range(-5, 2) for digit in (1, 2, 5)),
    100.0,
)
"""1-2-5 per decade, 10 µs to 100 s: the conventions advise milliseconds, a local Redis needs less."""


class Repetition:
    """Of an operation that is kept to be started again and again: its attributes as a recorder takes them."""

    __slots__ = ("preset",)

    def __init__(self) -> None:
        self.preset: tuple[SpanRecorder | None, Preset | None] = (None, None)
        """Of which recorder, and the attributes as it takes them; made by `preset_for`."""

    def __repr__(self) -> str:
        return f"<Repetition {'plain' if self.preset[1] is None else 'ready'}>"

    def preset_for(self, recorder: SpanRecorder, attributes: Attributes) -> Preset | None:
        """`attributes`, the same each time, as `recorder` takes them, kept; None where it does not."""
        made = recorder.preset(attributes)
        self.preset = (recorder, made)
        return made


@dataclass(frozen=True, slots=True)
class Operation:
    """One call as telemetry will tell it. Built by a pure `describe` function: no span, no clock, no I/O."""

    name: str
    attributes: Attributes = field(default_factory=dict[str, AttributeValue])
    kind: SpanKind = SpanKind.CLIENT
    parent: Context | None = None
    """The context to be a child of; None is the current one."""
    is_leaf: bool = False
    """Whether instrumentation below this call (drivers, upstream's instrumentors) is to keep silent."""
    repetition: Repetition | None = field(default=None, compare=False, repr=False)
    """Given where the same object is started many times: what that costs each time is then done once."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception means on the span of the operation that raised it."""

    error_type: str
    attributes: Attributes = field(default_factory=dict[str, AttributeValue])
    description: str | None = None
    """Status text; never the raw text of the exception."""
    is_error: bool = True
    """False where the exception is no error of the operation: the status stays unset."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A histogram of seconds that an operation adds to when it ends."""

    name: str
    description: str
    attributes: tuple[str, ...] = ()
    """Which of the operation's attributes the measurement keeps; `error.type` is always one."""
    bounds: tuple[float, ...] = SECONDS_FROM_10_US
