"""Collector configurations, checked without a collector: `python scripts/collector_config.py`.

`otelcol validate` says whether a configuration can be read. This says whether it keeps telemetry and secrets:
that what is used is defined, that nothing is taken before the memory limiter, that every way out has a queue
on disk and retries without an end, that nobody listens to other hosts without TLS and authentication, that
every variable is explained. Files are layers and are checked as they are used: merged, in each combination.

An exception stands in the file that needs it, as a comment with its reason:

    # allow no-queue exporters/prometheus_remote_write: its own queue
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

__all__ = [
    "ALIASES",
    "COMBINATIONS",
    "COMPONENTS",
    "FOLDER",
    "Combination",
    "Layer",
    "Problem",
    "check",
    "check_all",
    "merge",
    "read_layer",
    "shipped",
]

Map: TypeAlias = Mapping[str, Any]

FOLDER: Final = Path(__file__).resolve().parent.parent / "collector-config"

SECTIONS: Final = ("receivers", "processors", "exporters", "connectors", "extensions")

COMPONENTS: Final[Mapping[str, str]] = {
    "otlpreceiver": "otlp",
    "hostmetricsreceiver": "host_metrics",
    "kafkareceiver": "kafka",
    "memorylimiterprocessor": "memory_limiter",
    "attributesprocessor": "attributes",
    "resourceprocessor": "resource",
    "filterprocessor": "filter",
    "transformprocessor": "transform",
    "redactionprocessor": "redaction",
    "tailsamplingprocessor": "tail_sampling",
    "resourcedetectionprocessor": "resource_detection",
    "probabilisticsamplerprocessor": "probabilistic_sampler",
    "deltatocumulativeprocessor": "delta_to_cumulative",
    "debugexporter": "debug",
    "nopexporter": "nop",
    "otlpexporter": "otlp_grpc",
    "otlphttpexporter": "otlp_http",
    "fileexporter": "file",
    "kafkaexporter": "kafka",
    "prometheusexporter": "prometheus",
    "prometheusremotewriteexporter": "prometheus_remote_write",
    "loadbalancingexporter": "load_balancing",
    "forwardconnector": "forward",
    "spanmetricsconnector": "span_metrics",
    "servicegraphconnector": "service_graph",
    "countconnector": "count",
    "zpagesextension": "zpages",
    "healthcheckextension": "health_check",
    "bearertokenauthextension": "bearertokenauth",
    "basicauthextension": "basicauth",
    "headerssetterextension": "headers_setter",
    "opampextension": "opamp",
    "filestorage": "file_storage",
}
"""Modules that a manifest may name, with the type by which configurations know them."""

ALIASES: Final[Mapping[tuple[str, str], str]] = {
    ("exporters", "otlp"): "otlp_grpc",
    ("exporters", "otlphttp"): "otlp_http",
    ("exporters", "loadbalancing"): "load_balancing",
    ("exporters", "prometheusremotewrite"): "prometheus_remote_write",
    ("receivers", "hostmetrics"): "host_metrics",
    ("processors", "resourcedetection"): "resource_detection",
    ("processors", "deltatocumulative"): "delta_to_cumulative",
    ("connectors", "spanmetrics"): "span_metrics",
    ("connectors", "servicegraph"): "service_graph",
}
"""Types that the collector still takes, with a warning; and the ones to write."""

BACKEND_ONLY: Final = frozenset({("exporters", "clickhouse")})
"""Components that the manifest does not bring; layers of `backends/` may have them."""

LOCAL_EXPORTERS: Final = frozenset({"debug", "file", "nop", "prometheus"})
"""They send nothing over a network: no queue is asked for."""

_REFERENCE: Final = re.compile(r"\$\{env:(\w+)")
_VARIABLE: Final = re.compile(r"\$\{(?:env:)?\w+(?::-([^${}]*))?\}")
_EXPLAINED: Final = re.compile(r"^#   ([A-Z][A-Z0-9_]+) +\S", re.MULTILINE)
_ALLOWANCE: Final = re.compile(r"^# allow ([\w-]+) ([\w/.-]+)(?:: *(.*))?$", re.MULTILINE)


class Problem(NamedTuple):
    """What is wrong.

    Attributes:
        where: a file, or the name of a combination.
        rule: that found it.
        message: what was found, and what to do.
    """

    where: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Layer:
    """One file.

    Attributes:
        name: its path below `collector-config`.
        text: as it stands.
        content: as YAML says it; empty when there is none.
    """

    name: str
    text: str = field(repr=False)
    content: Map = field(repr=False)

    @property
    def head(self) -> str:
        """The comment that it begins with."""
        lines = self.text.splitlines()
        end = next((number for number, line in enumerate(lines) if line and not line.startswith("#")), None)
        return "\n".join(lines[:end])

    @property
    def allowances(self) -> Mapping[tuple[str, str], str]:
        """Exceptions that it asks for, by rule and place, with their reasons."""
        return {(rule, place): reason.strip() for rule, place, reason in _ALLOWANCE.findall(self.text)}


class Combination(NamedTuple):
    """Layers that are used together, in their order."""

    name: str
    files: tuple[str, ...]


_INGEST: Final = ("gateway/common.yaml", "gateway/ingest.yaml")
_SAMPLING: Final = ("gateway/common.yaml", "gateway/sampling.yaml")
_SINGLE: Final = (*_INGEST, "gateway/sampling.yaml", "gateway/single.yaml")
_ALERTS: Final = ("gateway/alert_gateway.yaml", "gateway/alerts/filter.yaml")
_OTLP_STORES: Final = ("backends/jaeger.yaml", "backends/prometheus.yaml", "backends/loki.yaml")
_EXTRAS: Final = ("extras.yaml",)

COMBINATIONS: Final = tuple(
    Combination(name, (*files, *_EXTRAS))
    for name, files in (
        ("agent", ("agent.yaml",)),
        ("agent, metrics of the host", ("agent.yaml", "agent/host_metrics.yaml")),
        ("agent, cumulative", ("agent.yaml", "agent/cumulative.yaml")),
        ("agent, secure", ("agent.yaml", "security/agent.yaml")),
        ("agent, Kafka", ("agent.yaml", "scale/kafka-agent.yaml")),
        ("agent, stores", ("agent.yaml", *_OTLP_STORES)),
        ("agent, remote write", ("agent.yaml", "backends/prometheus-remote-write.yaml")),
        ("agent, ClickHouse", ("agent.yaml", "backends/clickhouse.yaml")),
        ("ingest", _INGEST),
        ("ingest, static", (*_INGEST, "gateway/static_shards.yaml")),
        ("ingest, alerts", (*_INGEST, *_ALERTS)),
        ("ingest, secure", (*_INGEST, "security/ingest.yaml")),
        ("sampling", _SAMPLING),
        ("sampling, secure", (*_SAMPLING, "security/sampling.yaml")),
        ("sampling, Tempo", (*_SAMPLING, "backends/tempo.yaml", "backends/prometheus.yaml")),
        ("single", _SINGLE),
        ("single, secure", (*_SINGLE, "security/ingest.yaml")),
        ("single, alerts", (*_SINGLE, *_ALERTS)),
        ("single, Kafka", (*_SINGLE, "scale/kafka-gateway.yaml")),
        ("single, compose", (*_SINGLE, "compose.yaml", *_OTLP_STORES)),
        ("single, compose, Tempo", (*_SINGLE, "compose.yaml", "backends/tempo.yaml", *_OTLP_STORES[1:])),
        ("single, ClickHouse", (*_SINGLE, "backends/clickhouse.yaml")),
    )
)
"""What `collector-config/README.md` tells to use together."""


def merge(layers: Sequence[Map]) -> dict[str, Any]:
    """One configuration of several, as the collector makes it: maps are merged, all else is replaced."""
    return reduce(_merged, layers, dict[str, Any]())


def _merged(below: Map, above: Map) -> dict[str, Any]:
    return {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}


def _over(below: Any, above: Any) -> Any:
    return _merged(below, above) if isinstance(below, dict) and isinstance(above, dict) else above


def read_layer(path: Path, folder: Path = FOLDER) -> Layer:
    """Read a file of `collector-config`. Raises `yaml.YAMLError`."""
    text = path.read_text()
    return Layer(path.relative_to(folder).as_posix(), text, yaml.safe_load(text) or {})


def shipped(folder: Path = FOLDER) -> dict[str, Layer]:
    """All layers that combinations name, by name."""
    names = {name for combination in COMBINATIONS for name in combination.files}
    return {name: read_layer(folder / name, folder) for name in sorted(names)}


def known_types(manifest: Map) -> frozenset[tuple[str, str]]:
    """Sections and types of the components of a builder's manifest. Raises KeyError for an unknown module."""
    return frozenset(
        (section, COMPONENTS[entry["gomod"].split()[0].rpartition("/")[2]])
        for section in SECTIONS
        for entry in manifest.get(section, ())
    )


def check_all(
    layers: Mapping[str, Layer], combinations: Sequence[Combination], types: frozenset[tuple[str, str]]
) -> list[Problem]:
    """Problems of files by themselves and in their combinations, and of what no combination uses."""
    merged = {one.name: [layers[name] for name in one.files] for one in combinations}
    in_files = [problem for layer in layers.values() for problem in _check_file(layer, types)]
    in_combinations = [problem for name, used in merged.items() for problem in check(name, used)]
    unused = list(_unused(list(merged.values())))
    return [*in_files, *in_combinations, *_check_use(unused), *_idle_allowances(merged, unused)]


def check(name: str, layers: Sequence[Layer]) -> list[Problem]:
    """Problems of layers that are used together."""
    allowed = _allowances(layers)
    return [
        Problem(name, rule, message)
        for place, rule, message in _findings(merge([layer.content for layer in layers]))
        if (rule, place) not in allowed
    ]


def _allowances(layers: Sequence[Layer]) -> set[tuple[str, str]]:
    return {key for layer in layers for key, reason in layer.allowances.items() if reason}


class _Finding(NamedTuple):
    place: str
    rule: str
    message: str


def _findings(config: Map) -> Iterator[_Finding]:
    yield from _undefined(config)
    yield from _limiter(config)
    yield from _queues(config)
    yield from _storage(config)
    yield from _listeners(config)


def _check_file(layer: Layer, types: frozenset[tuple[str, str]]) -> Iterator[Problem]:
    """What can be said of one file alone: names, and its head."""
    for section in SECTIONS:
        for component in _section(layer.content, section):
            yield from _check_type(layer.name, section, component, types)
    explained = set(_EXPLAINED.findall(layer.head))
    body = "\n".join(line for line in layer.text.splitlines() if not line.lstrip().startswith("#"))
    referred = set(_REFERENCE.findall(body))
    for variable in sorted(referred - explained):
        yield Problem(layer.name, "environment", f"explain {variable} in the head of the file")
    for variable in sorted(explained - referred):
        yield Problem(layer.name, "environment", f"{variable} is explained and not used")
    for (rule, place), reason in layer.allowances.items():
        if not reason:
            yield Problem(layer.name, "allowance", f"say why {place} is an exception of {rule}")


def _check_type(
    file: str, section: str, component: str, types: frozenset[tuple[str, str]]
) -> Iterator[Problem]:
    kind = _type(component)
    if (section, kind) in ALIASES:
        current = ALIASES[section, kind]
        yield Problem(file, "alias", f"{section}/{component} is a deprecated name: write {current}")
    elif (section, kind) == ("processors", "batch"):
        message = "processors/batch holds data that no disk has: use sending_queue.batch of the exporter"
        yield Problem(file, "batch", message)
    elif (section, kind) not in types | (BACKEND_ONLY if file.startswith("backends/") else frozenset()):
        yield Problem(file, "component", f"{section}/{component} is no component of manifest.yaml")


def _undefined(config: Map) -> Iterator[_Finding]:
    """Ids in pipelines, among the service's extensions, and in settings that lead to an extension."""
    for place, section, component in _references(config):
        sections = ("receivers", "connectors") if section == "receivers" else (section,)
        sections = ("exporters", "connectors") if section == "exporters" else sections
        if not any(component in _section(config, one) for one in sections):
            message = f"{place} names {component!r}, which is not among the {' or '.join(sections)}"
            yield _Finding(place, "undefined", message)
    for name, pipeline in _pipelines(config).items():
        for section in ("receivers", "exporters"):
            if not pipeline.get(section):
                yield _Finding(f"pipelines/{name}", "undefined", f"pipelines/{name} has no {section}")
    started = _started(config)
    for place, component in _uses_of_extensions(config):
        if component not in started:
            yield _Finding(place, "undefined", f"{place} needs {component!r} among service.extensions")


def _references(config: Map) -> Iterator[tuple[str, str, str]]:
    for name, pipeline in _pipelines(config).items():
        for section in ("receivers", "processors", "exporters"):
            for component in pipeline.get(section) or ():
                yield f"pipelines/{name}", section, component
    for component in _started(config):
        yield "service.extensions", "extensions", component


def _uses_of_extensions(config: Map) -> Iterator[tuple[str, str]]:
    """Storage and authenticators that components in use ask for."""
    for section in ("receivers", "exporters"):
        for component in sorted(_used(config) & set(_section(config, section))):
            for path, value in _leaves(_section(config, section)[component]):
                if path and path[-1] in {"storage", "authenticator"} and isinstance(value, str):
                    yield f"{section}/{component}", value


def _unused(combinations: Sequence[Sequence[Layer]]) -> Iterator[tuple[Layer, str]]:
    """Components that a file defines and no combination with that file uses, with the file."""
    files = {layer.name: layer for layers in combinations for layer in layers}
    for layer in files.values():
        configs = [merge([one.content for one in layers]) for layers in combinations if layer in layers]
        for section in SECTIONS:
            for component in _section(layer.content, section):
                if not any(component in _used(config) | set(_started(config)) for config in configs):
                    yield layer, f"{section}/{component}"


def _check_use(unused: Sequence[tuple[Layer, str]]) -> Iterator[Problem]:
    for layer, place in unused:
        if ("unused", place) not in _allowances([layer]):
            yield Problem(layer.name, "unused", f"{place} is in no pipeline and not started")


def _idle_allowances(
    combinations: Mapping[str, Sequence[Layer]], unused: Sequence[tuple[Layer, str]]
) -> Iterator[Problem]:
    """Exceptions that nothing needs any more."""
    needed = {(layer.name, "unused", place) for layer, place in unused} | {
        (layer.name, finding.rule, finding.place)
        for layers in combinations.values()
        for finding in _findings(merge([layer.content for layer in layers]))
        for layer in layers
    }
    files = {layer.name: layer for layers in combinations.values() for layer in layers}
    for name, layer in files.items():
        for rule, place in layer.allowances:
            if (name, rule, place) not in needed:
                yield Problem(name, "allowance", f"{place} needs no exception of {rule} any more")


def _limiter(config: Map) -> Iterator[_Finding]:
    """`memory_limiter` stands first where telemetry comes in, and nowhere later."""
    connectors = _section(config, "connectors")
    for name, pipeline in _pipelines(config).items():
        place = f"pipelines/{name}"
        processors = [_type(one) for one in pipeline.get("processors") or ()]
        comes_in = any(one not in connectors for one in pipeline.get("receivers") or ())
        if comes_in and processors[:1] != ["memory_limiter"]:
            yield _Finding(place, "limiter", f"{place} takes telemetry: memory_limiter must come first")
        elif "memory_limiter" in processors[1:]:
            yield _Finding(place, "limiter", f"{place} has memory_limiter behind others: it must come first")
    for component, settings in _section(config, "processors").items():
        limited = {"limit_mib", "limit_percentage"} & set(settings or ())
        if _type(component) == "memory_limiter" and not (limited and "check_interval" in settings):
            message = f"processors/{component} needs check_interval and limit_mib or limit_percentage"
            yield _Finding(f"processors/{component}", "limiter", message)


def _queues(config: Map) -> Iterator[_Finding]:
    """What goes over a network waits on disk, bounded in bytes, and is tried for ever."""
    for component, settings in _section(config, "exporters").items():
        if _type(component) in LOCAL_EXPORTERS or component not in _used(config):
            continue
        place = f"exporters/{component}"
        for lack in _lacks(component, settings or {}):
            yield _Finding(place, "no-queue", f"{place}: {lack}")


def _lacks(component: str, settings: Map) -> Iterator[str]:
    queue: Map = settings.get("sending_queue") or {}
    retry: Map = settings.get("retry_on_failure") or {}
    if queue.get("enabled", True) is not True or _type(str(queue.get("storage", ""))) != "file_storage":
        yield "sending_queue.storage must be a file_storage: what waits in memory dies with the process"
    if queue.get("sizer") != "bytes" or "queue_size" not in queue:
        yield "sending_queue needs sizer: bytes and queue_size: the default counts requests of any size"
    if not isinstance(queue.get("batch"), dict):
        yield "sending_queue.batch is missing: small requests would leave one by one"
    if retry.get("enabled", True) is not True or retry.get("max_elapsed_time") != 0:
        yield "retry_on_failure.max_elapsed_time must be 0: the default drops after five minutes"
    if _type(component) == "load_balancing":
        inner: Map = settings.get("protocol", {}).get("otlp", {})
        if "enabled" not in queue or "enabled" not in retry:
            yield "sending_queue.enabled and retry_on_failure.enabled must be true: their default is false"
        if (inner.get("sending_queue") or {}).get("enabled", True) is not False:
            yield "protocol.otlp.sending_queue.enabled must be false: its queues are in memory, one a member"


def _storage(config: Map) -> Iterator[_Finding]:
    for component, settings in _section(config, "extensions").items():
        if _type(component) != "file_storage":
            continue
        place, given = f"extensions/{component}", settings or {}
        off = [name for name in ("fsync", "recreate", "create_directory") if given.get(name) is not True]
        if off:
            yield _Finding(place, "storage", f"{place}: {' and '.join(off)} must be true")
        if not given.get("max_size"):
            yield _Finding(place, "storage", f"{place}: max_size is missing: the default has no bound")


def _listeners(config: Map) -> Iterator[_Finding]:
    """Who listens to other hosts wants TLS and authentication."""
    for place, settings in _listening(config):
        if _is_loopback(_address(settings)):
            continue
        has_certificate = {"cert_file", "key_file"} <= set(settings.get("tls") or ())
        has_authenticator = bool((settings.get("auth") or {}).get("authenticator"))
        if not (has_certificate and has_authenticator):
            message = f"{place} listens on {_address(settings)!r} without TLS and an authenticator"
            yield _Finding(place, "open-listener", message)


def _listening(config: Map) -> Iterator[tuple[str, Map]]:
    """Whatever opens a port, with its settings."""
    used = _used(config)
    for component, settings in _section(config, "receivers").items():
        if component not in used:
            continue
        for protocol in ((settings or {}).get("protocols") or {}).values():
            yield f"receivers/{component}", protocol or {}
    for component, settings in _section(config, "exporters").items():
        if component in used and _type(component) == "prometheus":
            yield f"exporters/{component}", settings or {}
    for component in _started(config):
        settings = _section(config, "extensions").get(component)
        if _type(component) in {"health_check", "zpages"}:
            yield f"extensions/{component}", settings or {}
    telemetry: Map = (config.get("service") or {}).get("telemetry") or {}
    for reader in (telemetry.get("metrics") or {}).get("readers") or ():
        for settings in (reader.get("pull") or {}).get("exporter", {}).values():
            yield "service.telemetry", settings


def _address(settings: Map) -> str:
    """Where it listens, with the defaults of variables; one without a default may be anything."""
    host = settings.get("host")
    given = f"{host}:{settings.get('port')}" if host else settings.get("endpoint", "")
    address, count = str(given), 1
    while count:  # a default may hold a variable
        address, count = _VARIABLE.subn(lambda variable: variable[1] or "?", address)
    return address


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _section(config: Map, name: str) -> Map:
    return config.get(name) or {}


def _pipelines(config: Map) -> Mapping[str, Map]:
    return (config.get("service") or {}).get("pipelines") or {}


def _started(config: Map) -> Sequence[str]:
    return (config.get("service") or {}).get("extensions") or ()


def _used(config: Map) -> set[str]:
    """Ids that are in a pipeline."""
    return {
        component
        for pipeline in _pipelines(config).values()
        for section in ("receivers", "processors", "exporters")
        for component in pipeline.get(section) or ()
    }


def _type(component: str) -> str:
    return component.partition("/")[0]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path, value


def main() -> int:
    """Check what is shipped. Returns 1 when there is a problem."""
    types = known_types(yaml.safe_load((FOLDER / "manifest.yaml").read_text()))
    problems = check_all(shipped(), COMBINATIONS, types)
    for problem in problems:
        print(problem)
    print(f"{len(COMBINATIONS)} combinations, {len(problems)} problems")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
