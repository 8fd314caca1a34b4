"""The registry of `trading.*` is well-formed, and code, page and enumerations say the same as it."""

from __future__ import annotations

import fnmatch
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.semconv.schemas import Schemas

from scripts import semconv, strays
from tickspan.semconv import trading as names
from tickspan.testing import capture
from tickspan.trading import OrderOperation, OrderStatus, RejectOrigin, RejectReason, Source, Trigger, privacy
from tickspan.trading.kinds import METRIC_KEYS
from tickspan.trading.latency import CANCEL_TO_ACK, STAGES, Point, Segment

REGISTRY = semconv.read()
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+")
UNIT = re.compile(r"s|ns|By|1|\{[a-z_]+\}")

# What the format's JSON schema allows, and of that what it requires.
DEFINITIONS = {
    "attributes": ({"key", "type", "brief", "stability"}, {"note", "examples", "annotations"}),
    "spans": ({"type", "kind", "name", "brief", "stability"}, {"note", "attributes", "annotations"}),
    "metrics": ({"name", "instrument", "unit", "brief", "stability"}, {"note", "attributes", "annotations"}),
    "events": ({"name", "brief", "stability"}, {"note", "attributes", "annotations"}),
    "attribute_groups": ({"id", "visibility"}, {"brief", "stability", "note", "attributes", "annotations"}),
}
MEMBER = ({"id", "value", "stability"}, {"brief", "note"})
REFERENCE = ({"ref"}, {"requirement_level", "note"})

SIGNALS = {
    **{f"span {row['type']}": row for row in REGISTRY.spans},
    **{f"metric {row['name']}": row for row in REGISTRY.metrics},
    **{f"event {row['name']}": row for row in REGISTRY.events},
}
ENUMERATIONS: Mapping[str, type[StrEnum]] = {
    names.ORDER_OPERATION: OrderOperation,
    names.ORDER_STATUS: OrderStatus,
    names.ORDER_REJECT_REASON: RejectReason,
    names.ORDER_REJECT_ORIGIN: RejectOrigin,
    names.ORDER_EVENT_SOURCE: Source,
    names.TRIGGER: Trigger,
    names.SEGMENT: Segment,
}


def files() -> dict[str, Any]:
    return {
        path.name: yaml.safe_load(path.read_text())
        for path in sorted(semconv.REGISTRY.glob("*.yaml"))
        if path.name != "manifest.yaml"
    }


def definitions() -> list[tuple[str, Any]]:
    return [(kind, row) for file in files().values() for kind in DEFINITIONS for row in file.get(kind, ())]


def misfit(row: Mapping[str, Any], form: tuple[set[str], set[str]]) -> set[str]:
    """Keys that are missing, or that the format does not know."""
    required, optional = form
    return required - row.keys() | row.keys() - required - optional


@pytest.mark.parametrize("path", semconv.WRITTEN, ids=lambda path: path.name)
def test_what_is_made_of_the_registry_is_what_it_says_now(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == semconv.WRITTEN[path](REGISTRY)


def test_every_file_is_in_the_definition_format() -> None:
    assert {name: file.pop("file_format") for name, file in files().items()} == dict.fromkeys(
        files(), "definition/2"
    )
    assert {kind for file in files().values() for kind in file} - DEFINITIONS.keys() == {"file_format"}


def test_every_definition_has_what_the_format_asks_for_and_nothing_that_it_does_not_know() -> None:
    assert [
        (row, misfit(row, DEFINITIONS[kind])) for kind, row in definitions() if misfit(row, DEFINITIONS[kind])
    ] == []


def test_every_word_of_a_closed_set_has_what_the_format_asks_for() -> None:
    words = [
        member
        for row in REGISTRY.attributes
        if isinstance(row["type"], dict)
        for member in row["type"]["members"]
    ]
    assert [word for word in words if misfit(word, MEMBER) or word["id"] != word["value"]] == []


def test_every_reference_is_to_an_attribute_or_a_group() -> None:
    references = [reference for _, row in definitions() for reference in row.get("attributes", ())]
    assert [
        reference
        for reference in references
        if misfit(reference, REFERENCE) and reference.keys() != {"ref_group"}
    ] == []


def test_what_holds_free_text_has_an_example() -> None:
    assert [
        row["key"] for row in REGISTRY.attributes if row["type"] == "string" and not row.get("examples")
    ] == []


def test_everything_is_in_development() -> None:
    told = {row["stability"] for kind, row in definitions() if kind != "attribute_groups"}
    assert told == {"development"}


def test_the_manifest_depends_on_the_conventions_that_are_installed() -> None:
    manifest = yaml.safe_load((semconv.REGISTRY / "manifest.yaml").read_text())
    newest = list(Schemas)[-1].value
    version = newest.rpartition("/")[2]
    repository = "https://github.com/open-telemetry/semantic-conventions.git"
    assert manifest["dependencies"] == [
        {"schema_url": newest, "registry_path": f"{repository}@v{version}[model]"}
    ]


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=list(SIGNALS))
def test_every_attribute_of_a_signal_is_defined_here_or_by_opentelemetry_and_stands_once(signal: Any) -> None:
    known = {row["key"] for row in REGISTRY.attributes} | upstream_attributes()
    counted = Counter(REGISTRY.keys_of(signal))
    assert counted == Counter(known & counted.keys())


def upstream_attributes() -> set[str]:
    modules = [
        importlib.import_module(f"opentelemetry.semconv.attributes.{name}_attributes")
        for name in ("error", "exception", "server")
    ]
    return {value for module in modules for value in vars(module).values() if isinstance(value, str)}


def test_a_name_is_lower_case_words_below_the_namespace() -> None:
    declared = sorted(names.ATTRIBUTES | names.SPANS | names.METRICS | names.EVENTS)
    assert [
        name
        for name in declared
        if not NAME.fullmatch(name) or not name.startswith(("trading.", "tickspan.trading."))
    ] == []


@pytest.mark.parametrize("kind", ["ATTRIBUTES", "METRICS", "EVENTS"])
def test_no_name_is_also_a_namespace(kind: str) -> None:
    declared = sorted(getattr(names, kind))
    assert [(name, longer) for name in declared for longer in declared if longer.startswith(f"{name}.")] == []


def test_no_name_is_defined_twice() -> None:
    defined = Counter(
        row.get("key") or row.get("name") if kind != "spans" else row["type"]
        for kind, row in definitions()
        if kind != "attribute_groups"
    )
    assert [name for name, count in defined.items() if count > 1] == []


def test_no_constant_holds_two_names() -> None:
    constants = Counter(
        [
            *(semconv.constant(row["key"]) for row in REGISTRY.attributes),
            *(semconv.constant(row["type"], "SPAN_") for row in REGISTRY.spans),
            *(semconv.constant(row["name"], "METRIC_") for row in REGISTRY.metrics),
            *(semconv.constant(row["name"], "EVENT_") for row in REGISTRY.events),
        ]
    )
    assert [name for name, count in constants.items() if count > 1] == []


def test_every_attribute_says_whether_measurements_carry_it_and_what_it_gives_away() -> None:
    said = [semconv.own(row) for row in REGISTRY.attributes]
    assert {one["metric"] for one in said} == {"yes", "opt_in", "no"}
    assert {one["privacy"] for one in said} == {"open", "quantity", "identity"}
    assert {one.keys() - {"metric", "privacy"} <= {"unit", "from", "to"} for one in said} == {True}


def test_no_measurement_carries_sizes_prices_or_what_names_one_order() -> None:
    kept_back = names.QUANTITY_ATTRIBUTES | names.IDENTITY_ATTRIBUTES
    assert kept_back & (names.METRIC_ATTRIBUTES | names.OPT_IN_METRIC_ATTRIBUTES) == set()


def test_a_metric_is_declared_with_attributes_for_metrics_only() -> None:
    allowed = names.METRIC_ATTRIBUTES | names.OPT_IN_METRIC_ATTRIBUTES | upstream_attributes()
    assert {
        row["name"]: set(REGISTRY.keys_of(row)) - allowed
        for row in REGISTRY.metrics
        if set(REGISTRY.keys_of(row)) - allowed
    } == {}


def test_units_are_ucum() -> None:
    units = [row["unit"] for row in REGISTRY.metrics] + [
        semconv.own(row)["unit"] for row in REGISTRY.attributes if "unit" in semconv.own(row)
    ]
    assert [unit for unit in units if not UNIT.fullmatch(unit)] == []


def test_every_event_says_how_serious_it_is() -> None:
    assert {semconv.own(row)["severity"] for row in REGISTRY.events} == {"INFO", "WARN", "ERROR"}


def test_every_event_of_an_order_is_counted() -> None:
    orders = [row for row in REGISTRY.events if row["name"].startswith("trading.order.")]
    assert [row["name"] for row in orders if names.EVENT_SEQUENCE not in REGISTRY.keys_of(row)] == []


@pytest.mark.parametrize("key", ENUMERATIONS)
def test_a_closed_set_has_the_words_of_its_enumeration(key: str) -> None:
    assert semconv.members(REGISTRY.attribute(key)) == [word.value for word in ENUMERATIONS[key]]


def test_measurements_keep_only_attributes_that_are_declared_for_them() -> None:
    assert set(METRIC_KEYS) <= names.METRIC_ATTRIBUTES


def test_what_the_privacy_rule_takes_for_a_size_is_declared_as_a_quantity() -> None:
    assert privacy._SIZES <= names.QUANTITY_ATTRIBUTES


def test_every_point_of_an_orders_life_is_in_the_registry() -> None:
    told = [(point["id"], point["name"]) for point in REGISTRY.points]
    assert told == [("P0", "venue_event"), *((f"P{point.value}", point.name.lower()) for point in Point)]


def test_every_stage_lies_between_the_points_that_the_registry_names() -> None:
    told = {
        (row["key"], semconv.own(row)["from"], semconv.own(row)["to"], row["brief"])
        for row in REGISTRY.attributes
        if "from" in semconv.own(row)
    }
    assert told == {
        (stage.attribute, f"P{stage.start}", f"P{stage.end}", f"{stage.description}.")
        for stage in (*STAGES, CANCEL_TO_ACK)
    }


def test_every_stage_is_measured_by_the_metric_that_names_it() -> None:
    told = {
        (semconv.own(row)["stage"], row["name"], row["brief"])
        for row in REGISTRY.metrics
        if "stage" in semconv.own(row)
    }
    of_every_message = names.METRIC_FEED_QUEUE  # also where no order follows
    assert told == {
        (stage.attribute, stage.metric or of_every_message, f"{stage.description}.")
        for stage in (*STAGES, CANCEL_TO_ACK)
    }


def test_every_segment_of_a_call_has_an_attribute_of_its_own() -> None:
    # A key that ends in "sign" would be taken for a secret's.
    named = {Segment.SIGN: "signing"}
    told = {f"trading.latency.{named.get(segment, segment.value)}" for segment in Segment}
    assert told - names.ATTRIBUTES == set()


def test_the_registry_is_part_of_the_package(tools: Mapping[str, Any], sources: Sequence[Path]) -> None:
    package = semconv.MODULE.parents[1]
    assert semconv.MODULE in sources
    patterns = tools["setuptools"]["package-data"]["tickspan"]
    files = [path.relative_to(package).as_posix() for path in semconv.REGISTRY.glob("*.yaml")]
    assert [file for file in files if not any(fnmatch.fnmatch(file, pattern) for pattern in patterns)] == []


def test_a_signal_with_an_attribute_of_others_is_a_stray_and_so_is_a_word_of_no_closed_set() -> None:
    with capture() as told:
        attributes = {names.ORDER_SIDE: "long", names.FEED_SEQUENCE: 1, "db.namespace": "books"}
        told.tracer_provider.get_tracer("test").start_span(
            "trading.order.submit x", attributes=attributes
        ).end()
        counter = told.meter_provider.get_meter("test").create_counter(names.METRIC_FEED_BYTES, unit="By")
        counter.add(1, {names.VENUE_NAME: "x", names.ORDER_TYPE: "limit"})
        assert strays.declared(REGISTRY).strays(told.received()) == [
            "metric trading.feed.bytes is not declared with trading.order.type",
            "span trading.order.submit is not declared with trading.feed.sequence",
            "trading.order.side of span trading.order.submit is declared without the word 'long'",
        ]


UNDECLARED = """
def test_it(telemetry):
    telemetry.tracer_provider.get_tracer("test").start_span("trading.nonsense").end()
"""
CONFTEST = """
import sys
from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location("root_conftest", {path!r})
root = sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(root)
telemetry = root.telemetry
"""


@pytest.mark.integration
def test_a_test_that_captures_an_undeclared_name_fails(tmp_path: Path, root: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.format(path=str(root / "conftest.py")))
    (tmp_path / "test_it.py").write_text(UNDECLARED)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "span trading.nonsense is not declared" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("1 passed, 1 error")
