"""What can be set, with defaults and meanings: the dataclasses that every other part receives as values."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, get_type_hints

from tickspan.config.conversion import convert


class Quantities(StrEnum):
    """How much of sizes and prices leaves the process: own orders are alpha."""

    OFF = "off"
    BUCKETED = "bucketed"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class TradingSettings:
    """Settings of `tickspan.trading`; times in seconds."""

    environment: str = field(
        default="live",
        metadata={
            "meaning": "where orders go if host and flags do not tell: live, paper, testnet, simulated…"
        },
    )
    quantities: Quantities = field(
        default=Quantities.OFF,
        metadata={"meaning": "sizes and prices of orders in telemetry: off, bucketed or full"},
    )
    salt: str | None = field(
        default=None,
        metadata={
            "meaning": "key of trading.account.hash; without it accounts are not told apart",
            "is_secret": True,
        },
    )
    max_tick_age_s: float = field(
        default=5.0, metadata={"meaning": "an older tick is not the cause of an order"}
    )
    inferred_window_s: float = field(
        default=0.25,
        metadata={
            "meaning": "how young the newest tick of an instrument must be to be taken for an order's cause"
        },
    )
    hosts: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "hosts of your own that speak a venue's protocol: host[:port]=venue[/environment], …"
        },
    )
    lifecycle_delay_s: float = field(
        default=1.0,
        metadata={
            "meaning": "how long after an order's end its lifecycle span is written: late reports count"
        },
    )
    event_window_s: float = field(
        default=900.0,
        metadata={"meaning": "how long reports are children of the submit span; later ones only link to it"},
    )
    terminal_ttl_s: float = field(
        default=900.0, metadata={"meaning": "how long an ended order is remembered"}
    )
    waiting_s: float = field(
        default=10.0,
        metadata={"meaning": "how long a report of an unknown order waits for its acknowledgement"},
    )
    max_orders: int = field(default=20_000, metadata={"meaning": "how many orders are remembered"})
    max_waiting: int = field(
        default=1_000, metadata={"meaning": "how many reports of unknown orders wait at once"}
    )
    feed_stale_s: float = field(
        default=5.0,
        metadata={"meaning": "a stream that is silent for longer, and 10 times as long as usual, is stale"},
    )
    stale_decision_s: float = field(
        default=1.0, metadata={"meaning": "an order that an older tick caused was decided on stale data"}
    )
    clock_skew_s: float = field(
        default=0.5, metadata={"meaning": "how far a venue's clock may be from ours before that is told"}
    )

    store: str = field(
        default="sqlite",
        metadata={
            "meaning": "where orders outlive their process: sqlite (beside the spool, by its agent), off, or"
            " the URL of a Redis",
            "is_secret": True,
        },
    )
    stamp_client_id: bool = field(
        default=False,
        metadata={
            "meaning": "give an order that would leave without a client id one of ours, so that a retry does"
            " not double it; the venue sees the id"
        },
    )
    resume_receive_loop: bool = field(
        default=False,
        metadata={"meaning": "start a receive loop again that an exception of its message handler has ended"},
    )

    unknown_after_s: float = field(
        default=5.0,
        metadata={"meaning": "how long nobody may know the fate of an order before it is told as an error"},
    )
    throttle_warn_s: float = field(
        default=0.25, metadata={"meaning": "how long an order may wait inside its client before it is told"}
    )
    metric_symbols: int = field(
        default=0,
        metadata={
            "meaning": "how many instruments order metrics tell apart; the others are _other; 100 is much"
        },
    )
    backtest_traces: bool = field(
        default=False,
        metadata={"meaning": "a trace for each order in a back-test too, not only counts"},
    )

    @staticmethod
    def of(values: Mapping[str, Any]) -> TradingSettings:
        """Settings out of a mapping of their names; keys that are not ours, and None, are left alone.

        Raises:
            ValueError: a value cannot be understood; the text names its key.
        """
        kinds = get_type_hints(TradingSettings)
        given = {name: value for name, value in values.items() if name in kinds and value is not None}
        return TradingSettings(
            **{name: _converted("trading", name, value, kinds[name]) for name, value in given.items()}
        )


def _converted(section: str, name: str, value: Any, kind: Any) -> Any:
    try:
        return convert(value, kind)
    except ValueError as error:
        raise ValueError(f"{section}.{name}: {error}") from None


class SqlCommenter(StrEnum):
    """What is appended to SQL, for the database's own logs and views."""

    OFF = "off"
    SERVICE = "service"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """What instrumentors of databases tell; times in seconds."""

    params_hash: bool = field(
        default=True,
        metadata={"meaning": "a keyed hash of a statement's parameters, by which equal calls are recognised"},
    )
    orm_path: bool = field(
        default=True, metadata={"meaning": "which relationship an ORM query loads, such as Order.fills"}
    )
    slow_s: float = field(
        default=0.1, metadata={"meaning": "a slower statement tells each time from which line it was called"}
    )
    sqlcommenter: SqlCommenter = field(
        default=SqlCommenter.OFF,
        metadata={
            "meaning": "a comment after each SQL text: service (its name), full (also the trace, never on"
            " prepared statements)"
        },
    )

    @staticmethod
    def of(values: Mapping[str, Any]) -> DatabaseSettings:
        """As `TradingSettings.of`.

        Raises:
            ValueError: a value cannot be understood; the text names its key.
        """
        kinds = get_type_hints(DatabaseSettings)
        given = {name: value for name, value in values.items() if name in kinds and value is not None}
        return DatabaseSettings(
            **{name: _converted("database", name, value, kinds[name]) for name, value in given.items()}
        )


class AgentMode(StrEnum):
    """Who sends what was recorded."""

    AUTO = "auto"
    THREAD = "thread"
    EXTERNAL = "external"
    OFF = "off"


class Fsync(StrEnum):
    """Whether the spool survives the machine's death too, not only the process's."""

    OFF = "off"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Settings of the spool: where finished records wait on disk until they are delivered."""

    dir: str | None = field(
        default=None,
        metadata={"meaning": "folder of the spool; by default tickspan/spool below XDG_STATE_HOME"},
    )
    max_bytes: int = field(
        default=512 * 1024 * 1024,
        metadata={"meaning": "bytes on disk at most; beyond that the oldest records go, counted"},
    )
    segment_bytes: int = field(default=8 * 1024 * 1024, metadata={"meaning": "size of one file of the spool"})
    ring_records: int = field(
        default=20_000, metadata={"meaning": "records kept in memory while the disk cannot be used"}
    )
    fsync: Fsync = field(
        default=Fsync.OFF,
        metadata={"meaning": "off survives the death of the process; interval, by the agent, the machine's"},
    )


class QueryMode(StrEnum):
    """Who looks at the statements that an application runs."""

    AGENT = "agent"
    THREAD = "thread"
    OFF = "off"


class PlanMode(StrEnum):
    """Where plans of statements come from."""

    OFF = "off"
    AUTO_EXPLAIN = "auto_explain"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What is looked for in the queries of an application; times in seconds."""

    mode: QueryMode = field(
        default=QueryMode.AGENT,
        metadata={
            "meaning": "who looks for what could be better: the agent; a thread of the program, by rules that"
            " need no parser; or nobody"
        },
    )
    ignore: tuple[str, ...] = field(
        default=(), metadata={"meaning": "rules, or fingerprints of statements, of which nothing is told"}
    )
    plans: PlanMode = field(
        default=PlanMode.OFF,
        metadata={
            "meaning": "where plans come from: off, auto_explain (the server tells), probe (the agent asks)"
        },
    )
    databases: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "databases that the agent may ask: name=VARIABLE, …; the variable holds the DSN of an"
            " account with few rights"
        },
    )
    slow_s: float = field(default=0.5, metadata={"meaning": "a statement that takes longer is slow"})
    large_rows: int = field(default=10_000, metadata={"meaning": "a result of more rows is large"})
    repeats: int = field(
        default=5, metadata={"meaning": "queries alike under one parent that are a query for each row"}
    )
    transaction_s: float = field(
        default=1.0, metadata={"meaning": "a transaction that stays open longer is long"}
    )
    idle_s: float = field(
        default=0.1, metadata={"meaning": "a transaction in which nothing happens for longer is idle"}
    )


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Alert rules, as the process itself evaluates them; times in seconds."""

    enabled: bool = field(
        default=True,
        metadata={"meaning": "evaluate rules in this process, once there is a rule file or a rule in code"},
    )
    file: str | None = field(
        default=None,
        metadata={
            "meaning": "the rule file; by default alerts.toml or alerts.yaml beside the configuration file"
        },
    )
    interval_s: float = field(default=1.0, metadata={"meaning": "time between two evaluations"})
    strict: bool = field(
        default=False, metadata={"meaning": "a mistake in the rule file is an error at the start"}
    )
    tiers: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "who evaluates the rules beside process and agent: gateway, prometheus; the slowest"
            " resolves"
        },
    )
    thresholds: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "other thresholds for rules of the file and of the default pack: rule=number, …;"
            " SystemOverload=80%"
        },
    )


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """What is looked for in the memory of the process at the end of spans; times in seconds."""

    checks: bool = field(
        default=False, metadata={"meaning": "note at the end of spans how much memory the process has"}
    )
    growth_bytes: int = field(
        default=256 * 1024 * 1024,
        metadata={"meaning": "a span during which the process grew by more is told"},
    )
    limit_bytes: int = field(
        default=0,
        metadata={"meaning": "a process that is larger is told; 0 is 80 % of the container's limit, if any"},
    )
    interval_s: float = field(
        default=0.1, metadata={"meaning": "time between two looks at the process's memory"}
    )


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """What is measured without being asked for; times in seconds."""

    process: bool = field(
        default=True,
        metadata={"meaning": "CPU, memory, files and garbage collection of the process, and its container"},
    )
    host: bool = field(
        default=True,
        metadata={"meaning": "CPU, memory, disks and network of the host, told once, by the agent"},
    )
    interval_s: float = field(
        default=10.0,
        metadata={"meaning": "time between two collections; OTEL_METRIC_EXPORT_INTERVAL is stronger"},
    )
    history: int = field(
        default=180,
        metadata={
            "meaning": "samples of each series, one for each collection, that tickspan.performance_summary"
            " looks at; 0 keeps none"
        },
    )


@dataclass(frozen=True, slots=True)
class PropagateSettings:
    """To whom trace context and baggage may go."""

    hosts: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "hosts that get trace headers besides private ones; example.com is all below it too"
        },
    )
    baggage_hosts: tuple[str, ...] = field(
        default=(), metadata={"meaning": "hosts that get baggage; nobody does unless named"}
    )
    baggage_keys: tuple[str, ...] = field(
        default=(), metadata={"meaning": "keys of baggage that may go to those hosts"}
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the distribution."""

    service_name: str | None = field(
        default=None, metadata={"meaning": "service.name of the resource; OTEL_SERVICE_NAME is stronger"}
    )
    debug: bool = field(
        default=False,
        metadata={"meaning": "tell on the logger 'tickspan' what is switched on and why something is not"},
    )
    prefer_upstream: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "libraries whose upstream instrumentor runs instead of ours, such as redis,sqlalchemy"
        },
    )
    agent: AgentMode = field(
        default=AgentMode.AUTO,
        metadata={
            "meaning": "who sends: a process started when needed (auto), a thread, one of yours (external)"
        },
    )
    stack_source: bool = field(
        default=False,
        metadata={"meaning": "source lines in stack traces; literals in source are secrets"},
    )
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    propagate: PropagateSettings = field(default_factory=PropagateSettings)
    trading: TradingSettings = field(default_factory=TradingSettings)
    queries: QuerySettings = field(default_factory=QuerySettings)
    metrics: MetricSettings = field(default_factory=MetricSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)


@dataclass(frozen=True, slots=True)
class SettingKey:
    """One leaf of `Settings`."""

    name: str
    """Dotted: `trading.quantities`."""
    kind: Any
    default: Any
    meaning: str
    is_secret: bool = False
    """Whether the value must not be shown."""

    def value_in(self, settings: Settings) -> Any:
        """The value that `settings` has for this key."""
        return functools.reduce(getattr, self.name.split("."), settings)

    @property
    def variable(self) -> str:
        """The environment variable: `TICKSPAN_TRADING_QUANTITIES`."""
        return "TICKSPAN_" + self.name.replace(".", "_").upper()


def setting_keys(schema: type[Any] = Settings, prefix: str = "") -> Iterator[SettingKey]:
    """All leaves, in the order of declaration."""
    kinds = get_type_hints(schema)
    for item in dataclasses.fields(schema):
        kind = kinds[item.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from setting_keys(kind, f"{prefix}{item.name}.")
        else:
            is_secret = item.metadata.get("is_secret", False)
            yield SettingKey(prefix + item.name, kind, item.default, item.metadata["meaning"], is_secret)


def build(values: dict[str, Any], schema: type[Any] = Settings, prefix: str = "") -> Any:
    """`schema` with its leaves taken from dotted names."""
    kinds = get_type_hints(schema)
    arguments: dict[str, Any] = {}
    for item in dataclasses.fields(schema):
        kind = kinds[item.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            arguments[item.name] = build(values, kind, f"{prefix}{item.name}.")
        elif prefix + item.name in values:
            arguments[item.name] = values[prefix + item.name]
    return schema(**arguments)
