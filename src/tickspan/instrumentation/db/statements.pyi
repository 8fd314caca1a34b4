"""What `statements.py` offers, with types: its own annotations are the compiler's."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span

from tickspan.instrumentation.active import ActiveOperation
from tickspan.instrumentation.db.loops import RunningLoop
from tickspan.instrumentation.db.operations import DatabaseOperations, ToldStatement
from tickspan.instrumentation.db.parameters import HashParameters
from tickspan.instrumentation.db.transaction import Transaction
from tickspan.instrumentation.notices import ConnectionWatch
from tickspan.instrumentation.operation import Attributes
from tickspan.recording import AttributeValue, Guard, SpanRecorder

_Told = TypeVar("_Told", bound=ActiveStatement)

MAX_OPEN: Final[int]
EACH_IS_TIMED: Final[int]
PENDING: Final[str]
STATE: Final[str]
LOAD: Final[str]

class ActiveStatement(ActiveOperation):  # in what it can do; the class itself stands alone
    span: Span
    told: ToldStatement
    started_ns: int
    _guard: Guard
    def __init__(self) -> None: ...
    @property
    def is_over(self) -> bool: ...
    def join(self, transaction: Transaction, attributes: Attributes = ...) -> None: ...
    def executed(self) -> None: ...
    def keep(self) -> None: ...
    def fetched(self, rows: int, since_ns: int | None = None, weight: int = 1) -> None: ...
    def succeed(
        self,
        attributes: Attributes = ...,
        *,
        end_time_ns: int | None = None,
        rows_affected: int | None = None,
        is_late: bool = False,
    ) -> None: ...

class Starter:
    def __init__(
        self,
        guard: Guard,
        start_span: Callable[..., Span],
        recorder: SpanRecorder | None,
        histogram: Histogram,
        hash_parameters: HashParameters | None,
        slow_ns: int,
        running_loop: RunningLoop,
    ) -> None: ...
    def start(
        self,
        operations: DatabaseOperations,
        sql: str,
        parameters: Any,
        batch_size: int,
        transaction: Transaction | None,
        pool_wait_ns: int | None,
        also: Attributes | None,
        kind: type[_Told],
        current: Context | None,
        is_blocking: bool,
        watch: ConnectionWatch | None,
        among: dict[int, ActiveStatement] | None,
    ) -> _Told: ...

class Listening:
    def __init__(
        self,
        event: str,
        recorder: Any,
        guard: Guard,
        comments: Any,
        state_of: Callable[[Any], Any],
        begin: Callable[[Any, Any], Transaction | None],
        attributes_of_load: Callable[[Any], dict[str, AttributeValue] | Attributes | None],
    ) -> None: ...
    def listener(self) -> Callable[..., bool | None]: ...

def audible() -> Context | None: ...
def following(original: Callable[[Any], Any], guard: Guard) -> Callable[[Any], Any]: ...
def end_of_batch(context: Any) -> None: ...
