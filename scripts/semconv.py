"""Makes code and pages of the `trading.*` registry and the metric catalogue: `python scripts/semconv.py`.

The registry is in OpenTelemetry weaver's model format, `definition/2`; what it cannot say stands in
`annotations.tickspan`, which `attributes.yaml` explains. Metrics of other namespaces stand in files of
`registry/other`: rows of the catalogue, and who emits them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
REGISTRY: Final = ROOT / "src/tickspan/semconv/registry"
MODULE: Final = ROOT / "src/tickspan/semconv/trading.py"
PAGE: Final = ROOT / "docs/reference/trading.md"
OTHER: Final = REGISTRY / "other"
CATALOGUE: Final = ROOT / "src/tickspan/semconv/catalogue.py"
METRICS_PAGE: Final = ROOT / "docs/reference/metrics.md"

Row = Mapping[str, Any]

_NAMESPACE: Final = re.compile(r"(tickspan\.)?trading\.")
_FIX: Final = re.compile(r"FIX tag (\d+) (\w+)\.")
_PLACEHOLDER: Final = re.compile(r"\{([\w.]+)\}")


@dataclass(frozen=True, slots=True)
class Registry:
    """All definitions, in the order in which they are written."""

    attributes: tuple[Row, ...]
    groups: tuple[Row, ...]
    spans: tuple[Row, ...]
    metrics: tuple[Row, ...]
    events: tuple[Row, ...]

    @property
    def points(self) -> Sequence[Row]:
        """The points of an order's life, from the group that has them."""
        return [point for group in self.groups for point in own(group).get("points", ())]

    def attribute(self, key: str) -> Row:
        """The definition of an attribute. Raises KeyError for one that is not of this registry."""
        return {row["key"]: row for row in self.attributes}[key]

    def keys_of(self, signal: Row) -> list[str]:
        """The attributes that a signal carries: its groups' and its own. Raises KeyError for no group."""
        groups = {group["id"]: group for group in self.groups}
        keys: list[str] = []
        for reference in signal.get("attributes", ()):
            if "ref" in reference:
                keys.append(reference["ref"])
            else:
                keys += self.keys_of(groups[reference["ref_group"]])
        return keys

    def first_words(self, span: Row) -> list[str]:
        """What the name of such a span may begin with: words of closed sets stand for their attribute."""
        pattern = span["name"]["note"].split()[0]
        choices = [members(self.attribute(key)) for key in _PLACEHOLDER.findall(pattern)]
        template = _PLACEHOLDER.sub("{}", pattern)
        return [template.format(*words) for words in product(*choices)]


def read(folder: Path = REGISTRY) -> Registry:
    """The registry in `folder`; the manifest defines nothing."""
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.name != "manifest.yaml"]
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]

    def all_of(kind: str) -> tuple[Row, ...]:
        return tuple(row for file in files for row in file.get(kind, ()))

    return Registry(
        all_of("attributes"), all_of("attribute_groups"), all_of("spans"), all_of("metrics"), all_of("events")
    )


def own(row: Row) -> Row:
    """What `annotations.tickspan` says."""
    return row.get("annotations", {}).get("tickspan", {})


def members(attribute: Row) -> list[str]:
    """The values of a closed set; none where any value may stand."""
    kind = attribute["type"]
    return [member["value"] for member in kind["members"]] if isinstance(kind, Mapping) else []


def constant(name: str, prefix: str = "") -> str:
    """The constant that holds a name: `trading.order.retry.safe` is in `ORDER_RETRY_SAFE`."""
    return prefix + _NAMESPACE.sub("", name).upper().replace(".", "_")


# --- the module


def module(registry: Registry) -> str:
    """`tickspan/semconv/trading.py`."""
    sections = (
        (None, _constants(registry.attributes, "key", "")),
        ("Spans. A name never holds data: operation, venue and status are closed sets.", _spans(registry)),
        ("Histograms.", _metrics(registry, "histogram")),
        ("Counters.", _metrics(registry, "counter")),
        ("Gauges.", _metrics(registry, "gauge")),
        ("Events. Those of orders are the audit stream.", _constants(registry.events, "name", "EVENT_")),
    )
    lines = _MODULE_HEAD.splitlines()
    for title, constants in sections:
        lines += ["", *([f"# {title}"] if title else []), *constants]
    lines += ["", "# What is declared, and what of it may go where.", *_sets(registry)]
    return "\n".join([*lines, ""])


_MODULE_HEAD: Final = '''\
"""Trading names: orders from the tick to the last fill, where no OpenTelemetry convention covers them.

Order values are FIX values in words (`partially_filled`). Quantities and prices are decimal strings: an audit
must not round. Durations are seconds.

`make semconv` writes this module from `registry/*.yaml`: change it there.
"""

from collections.abc import Mapping
from typing import Final
'''


def _constants(rows: Iterable[Row], name: str, prefix: str) -> Iterator[str]:
    """One constant and its brief a row, a blank line between namespaces."""
    for number, (_, of_one) in enumerate(groupby(rows, key=lambda row: row[name].split(".")[1])):
        yield from [""] * bool(number)
        for row in of_one:
            yield f'{constant(row[name], prefix)}: Final = "{row[name]}"'
            yield f'"""{row["brief"]}"""'


def _spans(registry: Registry) -> Iterator[str]:
    for row in registry.spans:
        yield f'{constant(row["type"], "SPAN_")}: Final = "{row["type"]}"'
        yield f'"""{row["brief"]}"""'


def _metrics(registry: Registry, instrument: str) -> Iterator[str]:
    return _constants(_instruments(registry, instrument), "name", "METRIC_")


def _instruments(registry: Registry, instrument: str) -> list[Row]:
    return [row for row in registry.metrics if row["instrument"] == instrument]


def _sets(registry: Registry) -> Iterator[str]:
    def attributes(annotation: str, value: str) -> list[str]:
        return [constant(row["key"]) for row in registry.attributes if own(row)[annotation] == value]

    def metrics(instrument: str) -> list[str]:
        return [constant(row["name"], "METRIC_") for row in _instruments(registry, instrument)]

    words = [f'"{word}"' for row in registry.spans for word in registry.first_words(row)]
    events = [constant(row["name"], "EVENT_") for row in registry.events]
    sets = (
        ("ATTRIBUTES", [constant(row["key"]) for row in registry.attributes], ""),
        ("METRIC_ATTRIBUTES", attributes("metric", "yes"), "Few values each: measurements carry them."),
        ("OPT_IN_METRIC_ATTRIBUTES", attributes("metric", "opt_in"), "Measurements carry them if asked to."),
        ("QUANTITY_ATTRIBUTES", attributes("privacy", "quantity"), "They tell sizes or prices."),
        ("IDENTITY_ATTRIBUTES", attributes("privacy", "identity"), "They tell one order, fill or account."),
        (
            "SPANS",
            words,
            "First words of names; then may come a venue, a status or the program's own name.",
        ),
        ("HISTOGRAMS", metrics("histogram"), ""),
        ("COUNTERS", metrics("counter"), ""),
        ("GAUGES", metrics("gauge"), ""),
        ("EVENTS", events, ""),
    )
    for name, items, meaning in sets:
        yield from _set(name, items, meaning)
    yield "METRICS: Final = HISTOGRAMS | COUNTERS | GAUGES"
    yield "UNITS: Final[Mapping[str, str]] = {"
    yield from (f'    {constant(row["name"], "METRIC_")}: "{row["unit"]}",' for row in registry.metrics)
    yield "}"
    yield '"""The unit of each metric, in UCUM."""'


def _set(name: str, items: Sequence[str], meaning: str) -> Iterator[str]:
    yield f"{name}: Final = frozenset("
    yield "    {"
    yield from (f"        {item}," for item in items)
    yield "    }"
    yield ")"
    if meaning:
        yield f'"""{meaning}"""'


# --- the page


def page(registry: Registry) -> str:
    """`docs/reference/trading.md`."""
    lines = [
        *_PAGE_HEAD.splitlines(),
        *_attribute_tables(registry),
        *_GROUPS_HEAD.splitlines(),
        *_group_rows(registry),
        *_SPANS_HEAD.splitlines(),
        *_span_sections(registry),
        *_METRICS_HEAD.splitlines(),
        *_metric_tables(registry),
        *_EVENTS_HEAD.splitlines(),
        *_event_rows(registry),
        *_LATENCY_HEAD.splitlines(),
        *(f"| {point['id']} | {point['brief']} |" for point in registry.points),
        *_STAGES_HEAD.splitlines(),
        *_stage_rows(registry),
    ]
    return "\n".join([*lines, ""])


_PAGE_HEAD: Final = """\
# Trading telemetry

`make semconv` writes this page from the registry in `src/tickspan/semconv/registry`, which is part of the
package and in OpenTelemetry weaver's model format. Everything is in development: names may change.

Order values are FIX values in words. Quantities and prices are decimal strings. Attributes of other
namespaces (`error.type`, `server.address`) mean what OpenTelemetry says.

## Attributes

*Privacy*: `quantity` is told as `trading.quantities` allows; `identity` tells one order, fill or account, and
is never on a measurement. *On metrics*: whether measurements carry it; `opt-in` needs a setting.
"""
_GROUPS_HEAD: Final = """
## Groups

Attributes that many signals carry together; below, a group is named in italics.

| group | attributes |
|---|---|
"""
_SPANS_HEAD: Final = """
## Spans

Braces stand for the value of an attribute. A name never holds data: these values are closed sets, or names
that the program gives.
"""
_METRICS_HEAD: Final = """
## Metrics
"""
_EVENTS_HEAD: Final = """
## Events

Log records with a name. Those of orders are the audit stream: counted by `trading.event.sequence`, each in
the trace of its order, never sampled.

| event | severity | meaning | attributes |
|---|---|---|---|
"""
_LATENCY_HEAD: Final = """
## Latency

Points of an order's life, monotonic but P0.

| point | moment |
|---|---|
"""
_STAGES_HEAD: Final = """
Stages lie between two points; one whose end came first (a fill before its acknowledgement) is left out.

| from | to | attribute | metric |
|---|---|---|---|
"""


def _attribute_tables(registry: Registry) -> Iterator[str]:
    for namespace, rows in groupby(registry.attributes, key=lambda row: row["key"].split(".")[1]):
        yield from ("", f"### `trading.{namespace}`", "")
        yield "| attribute | type | meaning | FIX | unit | privacy | on metrics |"
        yield "|---|---|---|---|---|---|---|"
        for row in rows:
            said = own(row)
            tag, meaning = _tag_and_meaning(row)
            on_metrics = said["metric"].replace("_", "-")
            unit = said.get("unit", "")
            yield _cells(f"`{row['key']}`", _kind(row), meaning, tag, unit, said["privacy"], on_metrics)


def _kind(attribute: Row) -> str:
    values = members(attribute)
    return ", ".join(f"`{value}`" for value in values) if values else attribute["type"]


def _tag_and_meaning(attribute: Row) -> tuple[str, str]:
    """The note begins with the FIX tag, where there is one."""
    note = " ".join(attribute.get("note", "").split())
    found = _FIX.match(note)
    rest = note[found.end() :] if found else note
    return f"{found[1]} {found[2]}" if found else "", f"{attribute['brief']} {rest}".strip()


def _group_rows(registry: Registry) -> Iterator[str]:
    for group in registry.groups:
        yield _cells(_group_name(group["id"]), _listed(registry.keys_of(group)))


def _group_name(group_id: str) -> str:
    """`attributes.trading.order.report` is *order report*."""
    return f"*{group_id.partition('trading.')[2].replace('.', ' ').replace('_', ' ')}*"


def _span_sections(registry: Registry) -> Iterator[str]:
    for row in registry.spans:
        yield from ("", f"### `{row['name']['note']}`", "")
        yield f"{row['kind'].capitalize()}. {_meaning(row)}"
        yield from ("", f"Attributes: {_carried(row)}.")


def _metric_tables(registry: Registry) -> Iterator[str]:
    for instrument in ("histogram", "counter", "gauge"):
        yield from ("", f"### {instrument.capitalize()}s", "")
        yield "| metric | unit | meaning | attributes |"
        yield "|---|---|---|---|"
        for row in _instruments(registry, instrument):
            yield _cells(f"`{row['name']}`", f"`{row['unit']}`", _meaning(row), _carried(row))


def _event_rows(registry: Registry) -> Iterator[str]:
    for row in registry.events:
        yield _cells(f"`{row['name']}`", own(row)["severity"], _meaning(row), _carried(row))


def _stage_rows(registry: Registry) -> Iterator[str]:
    for row in registry.metrics:
        if "stage" in own(row):
            key = own(row)["stage"]
            said = own(registry.attribute(key))
            yield _cells(said["from"], said["to"], f"`{key}`", f"`{row['name']}`")


def _meaning(row: Row) -> str:
    return " ".join([row["brief"], *row.get("note", "").split()])


def _carried(signal: Row) -> str:
    """What a signal carries, groups by their names."""
    return ", ".join(
        f"`{reference['ref']}`{_aside(reference)}"
        if "ref" in reference
        else _group_name(reference["ref_group"])
        for reference in signal.get("attributes", ())
    )


def _aside(reference: Row) -> str:
    """What is particular to an attribute in this signal."""
    note = " ".join(reference.get("note", "").split()).removesuffix(".")
    return f" ({note[0].lower()}{note[1:]})" if note else ""


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


# --- the catalogue of metrics


@dataclass(frozen=True, slots=True)
class CataloguedMetric:
    """One metric: `emitted` tells who emits it now, "" is nobody yet."""

    name: str
    instrument: str
    unit: str
    brief: str
    attributes: tuple[str, ...]
    emitted: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """Metrics that belong together."""

    title: str
    metrics: tuple[CataloguedMetric, ...]


_CHAPTERS: Final = {
    "host": "Host",
    "process": "Process and runtime",
    "memory": "Memory, garbage collection and event loops",
    "profiler": "Profiler",
    "container": "Container",
    "databases": "Databases and Redis",
    "cache": "Cache",
    "pools": "Connection pools",
    "datasets": "Rows that are read lazily",
    "http": "HTTP",
    "logs": "Log records",
    "telemetry": "Telemetry itself",
    "alerts": "Alerts",
    "collector": "Collector",
}


def chapters(registry: Registry, folder: Path = OTHER) -> list[Chapter]:
    """All metrics, trading first; those of `folder` by its files. Raises ValueError for one of no chapter."""
    trading = (
        CataloguedMetric(
            row["name"], row["instrument"], row["unit"], row["brief"], _measured(registry, row), "process"
        )
        for row in registry.metrics
    )
    found = [Chapter("Trading", tuple(trading))]
    paths = {path.stem: path for path in folder.glob("*.yaml")}
    for stem, path in sorted(paths.items(), key=lambda item: list(_CHAPTERS).index(item[0])):
        file = yaml.safe_load(path.read_text(encoding="utf-8"))
        rows = (_catalogued(row, file["emitted"]) for row in file["metrics"])
        found.append(Chapter(_CHAPTERS[stem], tuple(rows)))
    return found


def _measured(registry: Registry, row: Row) -> tuple[str, ...]:
    return tuple(dict.fromkeys(registry.keys_of(row)))


def _catalogued(row: Row, emitted: str) -> CataloguedMetric:
    return CataloguedMetric(
        row["name"],
        row["instrument"],
        row["unit"],
        row["brief"],
        tuple(row.get("attributes", ())),
        row.get("emitted", emitted),
    )


def catalogue(registry: Registry) -> str:
    """`tickspan/semconv/catalogue.py`."""
    entries: list[str] = []
    for chapter in chapters(registry):
        entries.append(f"    # {chapter.title}")
        for metric in chapter.metrics:
            entries += _entry(metric)
    return "\n".join([*_CATALOGUE_HEAD.splitlines(), *entries, *_CATALOGUE_FOOT.splitlines(), ""])


_CATALOGUE_HEAD: Final = '''\
"""Every metric that tickspan emits, or that its rules and dashboards may ask for.

`make semconv` writes this module from `registry/metrics.yaml` and `registry/other`: change it there.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: OpenTelemetry's.
        instrument: counter, updowncounter, gauge or histogram; observable ones are as their twins.
        unit: UCUM.
        brief: what it measures.
        attributes: that its points may carry.
        emitted: by whom: process, agent, upstream (instrumentors, SDK and libraries of others), collector; or
            "", which is nobody yet.
    """

    name: str
    instrument: str
    unit: str
    brief: str
    attributes: tuple[str, ...] = ()
    emitted: str = ""


_ALL: Final = (
'''
_CATALOGUE_FOOT: Final = '''\
)

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}
"""By name."""
'''
_LINE: Final = 110
_INDENT: Final = " " * 8


def _entry(metric: CataloguedMetric) -> Iterator[str]:
    """One call, as the formatter would write it."""
    fields = (metric.name, metric.instrument, metric.unit, metric.brief)
    arguments = [_literal(field) for field in fields]
    arguments += [_tuple(metric.attributes), _literal(metric.emitted)]
    line = f"    Metric({', '.join(arguments)}),"
    if len(line) <= _LINE:
        yield line
        return
    inner = f"{_INDENT}{', '.join(arguments)}"
    if len(inner) <= _LINE:
        yield from ("    Metric(", inner, "    ),")
        return
    yield "    Metric("
    for one in arguments:
        yield from _argument(one, metric.attributes)
    yield "    ),"


def _argument(argument: str, attributes: Sequence[str]) -> Iterator[str]:
    line = f"{_INDENT}{argument},"
    if len(line) <= _LINE or not argument.startswith("("):
        yield line
        return
    yield f"{_INDENT}("
    yield from (f"{_INDENT}    {_literal(name)}," for name in attributes)
    yield f"{_INDENT}),"


def _literal(text: str) -> str:
    return f'"{text}"'


def _tuple(names: Sequence[str]) -> str:
    return f"({', '.join(map(_literal, names))}{',' if len(names) == 1 else ''})"


def metrics_page(registry: Registry) -> str:
    """`docs/reference/metrics.md`."""
    lines = _METRICS_PAGE_HEAD.splitlines()
    for chapter in chapters(registry):
        lines += ["", f"## {chapter.title}", "", "| metric | instrument | unit | meaning | attributes | by |"]
        lines.append("|---|---|---|---|---|---|")
        for metric in chapter.metrics:
            unit = f"`{metric.unit}`" if metric.unit else ""
            names = _listed(metric.attributes)
            by = metric.emitted or "planned"
            lines.append(_cells(f"`{metric.name}`", metric.instrument, unit, metric.brief, names, by))
    return "\n".join([*lines, ""])


_METRICS_PAGE_HEAD: Final = """\
# Metrics

`make semconv` writes this page from the registry in `src/tickspan/semconv/registry`. Alert rules and
dashboards are checked against the same rows, `tickspan.semconv.catalogue.METRICS`.

Names are OpenTelemetry's where it has one. A share is 0 to 1. Observable instruments are named like their
synchronous twins.

*By*: `process` is the program itself; `agent` the agent, once per host; `upstream` are instrumentors and
libraries of others, on the providers of tickspan; `collector` is the OpenTelemetry collector. What is
`planned` has a name, and nobody emits it yet.
"""


WRITTEN: Final = {MODULE: module, PAGE: page, CATALOGUE: catalogue, METRICS_PAGE: metrics_page}


def main() -> int:
    """Write the modules and the pages."""
    registry = read()
    for path, make in WRITTEN.items():
        path.write_text(make(registry), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
