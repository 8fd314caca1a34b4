"""What `span.py` offers, with types: its own annotations are the compiler's."""

from collections.abc import Callable, Mapping
from typing import Any, Self

ALWAYS_ON: int
CALL_SAMPLER: int
PARENT_BASED_ALWAYS_ON: int

class Interop:
    def __init__(
        self,
        context_var: Any,
        context_class: Any,
        current_span_key: str,
        span_class: Any,
        silent_span: Callable[..., Any],
        parent_of: Callable[[Any], Any],
        link_of: Callable[[Any, Any], Any],
    ) -> None: ...

class Limits:
    def __init__(
        self,
        attributes: int | None = 128,
        events: int | None = 128,
        links: int | None = 128,
        event_attributes: int | None = 128,
        link_attributes: int | None = 128,
        attribute_length: int | None = None,
        other_length: int | None = None,
    ) -> None: ...

class Hooks:
    on_start: Callable[..., None] | None
    on_ending: Callable[..., None] | None
    on_end: Callable[..., None] | None
    def __init__(self, on_start: Any = None, on_ending: Any = None, on_end: Any = None) -> None: ...

class SpanMarks:
    held_ns: int
    late_ns: int
    loop_id: int
    open_spans: int
    started: Callable[[Any], object] | None
    ending: Callable[[Any], object] | None
    def __init__(
        self,
        started: Callable[[Any], object] | None = None,
        ending: Callable[[Any], object] | None = None,
        running_loop: Callable[[], object] | None = None,
    ) -> None: ...

class Preset:
    @property
    def values(self) -> dict[str, Any]: ...
    @property
    def encoded(self) -> bytes: ...

class SpanRecorder:
    stream: Any
    hooks: Hooks | None
    marks: SpanMarks | None
    is_enabled: bool
    sampling: int
    owner: Any
    def __init__(
        self,
        owner: Any,
        interop: Interop,
        limits: Limits,
        new_trace_id: Callable[[], int],
        new_span_id: Callable[[], int],
        has_random_ids: bool,
        sampling: int,
        decide: Callable[..., tuple[bool, bool, Any, Any]],
        stream: Any = None,
        clock: Callable[[], int] | None = None,
        counted: Callable[..., Any] | None = None,
    ) -> None: ...
    def start_span(
        self,
        name: Any,
        context: Any = None,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        start_time: Any = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Any: ...
    @property
    def span_class(self) -> type[RecordingSpan]: ...
    def preset(self, attributes: Mapping[str, Any]) -> Preset | None: ...
    def start_preset(
        self, name: str, context: Any, kind: Any, preset: Preset, attributes: dict[str, Any] | None
    ) -> Any: ...
    def start_as_current_span(
        self,
        name: Any,
        context: Any = None,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        start_time: Any = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan: ...

class RecordingSpan:
    recorder: SpanRecorder
    trace_id: int
    span_id: int
    parent_id: int | None
    parent_is_remote: bool
    parent_flags: int
    trace_flags: int
    trace_state: Any
    @property
    def attribute_values(self) -> dict[str, Any]: ...
    dropped_attribute_count: int
    event_tuples: list[tuple[int, str, dict[str, Any], int]] | None
    dropped_event_count: int
    link_tuples: list[tuple[int, int, str, dict[str, Any], int, int]] | None
    dropped_link_count: int
    @property
    def name(self) -> str: ...
    @property
    def kind_number(self) -> int: ...
    @property
    def start_time(self) -> int: ...
    @property
    def end_time(self) -> int | None: ...
    @property
    def status_code(self) -> int: ...
    @property
    def status_text(self) -> str: ...
    def is_recording(self) -> bool: ...
    def set_attribute(self, key: Any, value: Any) -> None: ...
    def set_attributes(self, attributes: Mapping[str, Any]) -> None: ...
    def add_event(self, name: Any, attributes: Any = None, timestamp: Any = None) -> None: ...
    def add_link(self, context: Any, attributes: Any = None) -> None: ...
    def update_name(self, name: Any) -> None: ...
    def put_status(self, code: int, text: str) -> None: ...
    def end_with(self, attributes: dict[str, Any], end_time: Any = None) -> None: ...
    def end(self, end_time: Any = None) -> None: ...
    def pend(self) -> None: ...
    def encoded(self) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None: ...

class CurrentSpan:
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]: ...
    def again(self) -> CurrentSpan: ...
