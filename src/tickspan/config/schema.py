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


class TraceDetail(StrEnum):
    """How much of what happens becomes spans."""

    ORDERS = "orders"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """How much traces tell."""

    detail: TraceDetail = field(
        default=TraceDetail.ORDERS,
        metadata={
            "meaning": "orders: a tick is a span if an order, a query or a cache call follows; full: each is,"
            " and each statement tells from which line it was called"
        },
    )


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
            "meaning": "the rule file; by default alerts.toml or alerts.yaml beside the configuration file,"
            " and in the working folder where none is named"
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


class MemoryPlan(StrEnum):
    """How the garbage collector is governed."""

    NONE = ""
    HFT = "hft"
    DATASETS = "datasets"


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """What is noted of memory, garbage collection and event loops; times in seconds."""

    spans: bool = field(
        default=True,
        metadata={
            "meaning": "tell on spans how long the garbage collector or a blocked event loop held them up"
        },
    )
    loops: bool = field(
        default=True,
        metadata={"meaning": "watch event loops by a heartbeat, from their first span on"},
    )
    heartbeat_s: float = field(
        default=0.1, metadata={"meaning": "time between two beats; a block is told to within one of them"}
    )
    leaks: bool = field(
        default=True, metadata={"meaning": "look each second how memory grows, and tell whether it is a leak"}
    )
    leak_bucket_s: float = field(
        default=60.0,
        metadata={
            "meaning": "the shortest of three buckets of a verdict; the others are 5 and 30 times as long"
        },
    )
    soft_limit_bytes: int = field(
        default=0,
        metadata={
            "meaning": "resident memory from which tickspan.memory.on_pressure calls are made; 0 is none"
        },
    )
    optimize: MemoryPlan = field(
        default=MemoryPlan.NONE,
        metadata={"meaning": "a plan for the garbage collector: hft, datasets, or empty for none"},
    )
    warm_up_s: float = field(
        default=30.0,
        metadata={"meaning": "time after the start at which memory.optimize is applied, with one collection"},
    )
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


class CachePolicy(StrEnum):
    """Who leaves a full memory tier first."""

    S3FIFO = "s3fifo"
    LRU = "lru"
    LFU = "lfu"
    TTL = "ttl"
    WTINYLFU = "wtinylfu"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True, slots=True)
class ProcessCacheSettings:
    """What `tickspan.get_cache()` is made of; times in seconds."""

    url: str | None = field(
        default=None,
        metadata={
            "meaning": "the Redis of tickspan.get_cache(), such as redis://localhost:6379/0; without it and"
            " redis.host there is none",
            "is_secret": True,
        },
    )
    namespace: str = field(
        default="tickspan", metadata={"meaning": "what the names of its keys in Redis begin with"}
    )
    disk: str | None = field(
        default=None, metadata={"meaning": "folder of its disk tier; without it there is none"}
    )
    max_entries: int = field(default=10_000, metadata={"meaning": "values in memory at most, in each region"})
    max_bytes: int = field(
        default=64 * 1024 * 1024,
        metadata={"meaning": "bytes of the values in memory at most, in each region"},
    )
    ttl_s: float = field(
        default=300.0, metadata={"meaning": "how long a value is fresh unless its caller tells"}
    )
    stale_s: float = field(
        default=0.0,
        metadata={
            "meaning": "how long a value may stand in while what makes it fails; 0 is ten times cache.ttl_s"
        },
    )
    quotes_ttl_s: float = field(
        default=1.0,
        metadata={"meaning": "an older price, in the region quotes, is a miss whatever has failed"},
    )
    load_wait_s: float = field(
        default=0.1,
        metadata={"meaning": "how long a caller waits for a load where there is an older value to give"},
    )
    load_timeout_s: float = field(
        default=5.0,
        metadata={"meaning": "how long others wait for a load before they load themselves"},
    )
    orders: bool = field(
        default=False,
        metadata={"meaning": "keep how each order of the program stands, for get_cached_order_status"},
    )
    compression: bool = field(
        default=True,
        metadata={"meaning": "compress values of 1 KiB and more in Redis and on disk, if it saves a tenth"},
    )
    policy: CachePolicy = field(
        default=CachePolicy.S3FIFO,
        metadata={"meaning": "who leaves a full region first: s3fifo, lru, lfu, ttl, wtinylfu, adaptive"},
    )


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How Redis is reached by the cache and its sessions; times in seconds."""

    host: str | None = field(
        default=None, metadata={"meaning": "host of the cache's Redis, if there is no cache.url"}
    )
    port: int = field(default=6379, metadata={"meaning": "its port"})
    db: int = field(default=0, metadata={"meaning": "its database"})
    password: str | None = field(default=None, metadata={"meaning": "its password", "is_secret": True})
    max_connections: int = field(
        default=100, metadata={"meaning": "connections of blocking callers of the cache at most"}
    )
    timeout_s: float = field(
        default=0.05,
        metadata={"meaning": "how long the cache waits for an answer of Redis; then it goes on without"},
    )
    connect_timeout_s: float = field(
        default=0.25, metadata={"meaning": "how long the cache waits for a connection to Redis"}
    )
    metrics: bool = field(
        default=True, metadata={"meaning": "metrics of redis-py's commands and connections"}
    )
    message_spans: bool = field(
        default=False,
        metadata={"meaning": "a span around the handling of each message that redis-py receives"},
    )
    channels: tuple[str, ...] = field(
        default=(), metadata={"meaning": "channels of Redis whose names may be told; names are data"}
    )
    streams: tuple[str, ...] = field(
        default=(), metadata={"meaning": "streams of Redis whose names, and whose groups' names, may be told"}
    )


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Sessions of users; times in seconds."""

    idle_ttl_s: float = field(
        default=3600.0, metadata={"meaning": "a session that nobody used for so long is over"}
    )


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What holds for governed pools unless their maker says otherwise; times in seconds."""

    max_hold_s: float = field(
        default=60.0,
        metadata={"meaning": "a connection that is held longer is told as a suspected leak; 0 is never"},
    )
    max_lifetime_s: float = field(
        default=1800.0,
        metadata={"meaning": "how old connections of create_database_pool get, within 10 %; 0 is any age"},
    )
    reclaim_dead: bool = field(
        default=False,
        metadata={"meaning": "close what a finished task or a dead thread has held longer than max_hold_s"},
    )


@dataclass(frozen=True, slots=True)
class LazySettings:
    """In what portions `tickspan.lazy` reads, where a call says nothing else."""

    chunk: int = field(default=1_000, metadata={"meaning": "rows of the first fetch"})
    prefetch: int = field(
        default=2,
        metadata={"meaning": "chunks that are fetched while one is consumed; 0 fetches when asked"},
    )
    prefetch_bytes: int = field(default=8 * 1024 * 1024, metadata={"meaning": "what they may take in memory"})
    fetch_s: float = field(
        default=0.05, metadata={"meaning": "how long a fetch is to take; chunks grow and shrink to it"}
    )


class LogCapture(StrEnum):
    """Whether what the application logs is recorded."""

    ON = "on"
    OFF = "off"


class LogFormat(StrEnum):
    """How `logs.console` writes to stderr."""

    JSON = "json"
    CONSOLE = "console"


class LogRotation(StrEnum):
    """When a log file is full."""

    SIZE = "size"
    DAILY = "daily"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What becomes of log records, and the JSON files that the agent writes of them."""

    capture: LogCapture = field(
        default=LogCapture.ON,
        metadata={"meaning": "record what the application logs: on, off; OTEL_LOGS_EXPORTER=none is off too"},
    )
    level: str = field(
        default="INFO", metadata={"meaning": "the lowest level that is recorded: a name or a number"}
    )
    throttle: int = field(
        default=50,
        metadata={"meaning": "records that one line of code may write in a second; 0 is any number"},
    )
    performance: bool = field(default=True, metadata={"meaning": "record what has the category performance"})
    directory: str | None = field(
        default=None, metadata={"meaning": "folder of JSON files; without it none are written"}
    )
    prefix: str = field(default="tickspan", metadata={"meaning": "what the names of those files begin with"})
    rotate: LogRotation = field(
        default=LogRotation.SIZE,
        metadata={
            "meaning": "a new file when one is full (size), also each day (daily) or each session (session)"
        },
    )
    session: str | None = field(
        default=None,
        metadata={
            "meaning": "the trading session whose opening begins a file, such as"
            " 'mon-fri 09:30-16:00 America/New_York'; without it the start of a process does"
        },
    )
    max_file_bytes: int = field(
        default=100 * 1024 * 1024, metadata={"meaning": "size at which a file is full"}
    )
    backup_count: int = field(default=10, metadata={"meaning": "full files that are kept; 0 is all"})
    max_total_bytes: int = field(
        default=0, metadata={"meaning": "bytes of full files that are kept; 0 is any number"}
    )
    max_age_days: float = field(
        default=0.0, metadata={"meaning": "how old a full file gets, in days; 0 is any age"}
    )
    archive_dir: str | None = field(
        default=None,
        metadata={"meaning": "where files go that are not kept; without it they are removed"},
    )
    audit_key_file: str | None = field(
        default=None,
        metadata={"meaning": "file with the key of the audit chain; without it it is a plain hash"},
    )
    console: bool = field(default=False, metadata={"meaning": "also write each record to stderr"})
    format: LogFormat = field(
        default=LogFormat.CONSOLE, metadata={"meaning": "how it is written there: json, console"}
    )


class ProfilerMode(StrEnum):
    """Whether the process is sampled, and what is kept of it."""

    OFF = "off"
    TAIL = "tail"
    CONTINUOUS = "continuous"


class ProfileExport(StrEnum):
    """Whether profiles leave the host."""

    OFF = "off"
    OTLP = "otlp"


@dataclass(frozen=True, slots=True)
class ProfilerSettings:
    """The sampling profiler of the process; times in seconds."""

    mode: ProfilerMode = field(
        default=ProfilerMode.OFF,
        metadata={
            "meaning": "sample the process: off, tail (also keep the samples of slow and failed traces),"
            " continuous"
        },
    )
    hz: float = field(default=10.0, metadata={"meaning": "looks at all threads in a second, 0.01 to 1,000"})
    cpu_budget: float = field(
        default=0.01,
        metadata={"meaning": "share of one processor that sampling may use; it slows down"},
    )
    slow_s: float = field(
        default=0.0,
        metadata={
            "meaning": "a local root span that takes as long is slow; 0: above its name's 99th percentile"
        },
    )
    control: bool = field(
        default=True,
        metadata={"meaning": "look each second whether tickspan profile record asks for a profile"},
    )
    file: str | None = field(
        default=None, metadata={"meaning": "write the profile to this file when the process ends"}
    )
    export: ProfileExport = field(
        default=ProfileExport.OFF,
        metadata={"meaning": "send profiles, beside the files of them: off, otlp (v1development)"},
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
    preset: tuple[str, ...] = field(
        default=(),
        metadata={
            "meaning": "bundles of settings, weaker than what is set otherwise: hft, risk, oms, debug; of"
            " several the last is strongest"
        },
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
    tracing: TracingSettings = field(default_factory=TracingSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    cache: ProcessCacheSettings = field(default_factory=ProcessCacheSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    pools: PoolSettings = field(default_factory=PoolSettings)
    profiler: ProfilerSettings = field(default_factory=ProfilerSettings)
    lazy: LazySettings = field(default_factory=LazySettings)
    logs: LogSettings = field(default_factory=LogSettings)


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


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with some leaves changed, by dotted names and values as a file would have them.

    Raises:
        ValueError: a value cannot be understood.
    """
    leaves = {key.name: key.value_in(settings) for key in setting_keys()}
    kinds = {key.name: key.kind for key in setting_keys()}
    return build({**leaves, **{name: convert(value, kinds[name]) for name, value in values.items()}})
