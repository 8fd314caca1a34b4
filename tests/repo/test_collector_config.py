"""What the linter of configurations finds: nothing in what is shipped, each fault in a broken one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import collector_alerts
from scripts.collector_config import (
    COMBINATIONS,
    FOLDER,
    SECTIONS,
    Combination,
    Layer,
    Problem,
    check_all,
    known_types,
    merge,
    read_layer,
    shipped,
)
from tickspan.config import MetricSettings

_MANIFEST = yaml.safe_load((FOLDER / "manifest.yaml").read_text())
_SERVERS = {"alertmanager", "dashboards", "grafana", "jaeger", "loki", "prometheus", "tempo"}
"""Folders with files of other programs."""
_NO_LAYERS = {Path("manifest.yaml"), Path("gateway/alerts/policy.yaml")}

_HEAD = """# One.
#
# Environment:
#   BACKEND  of OTLP
"""
_GOOD: Mapping[str, Any] = {
    "extensions": {
        "file_storage/queue": {"fsync": True, "recreate": True, "create_directory": True, "max_size": 9}
    },
    "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:4317"}}}},
    "processors": {"memory_limiter": {"check_interval": "1s", "limit_mib": 9}},
    "exporters": {
        "otlp_http": {
            "endpoint": "${env:BACKEND}",
            "sending_queue": {
                "storage": "file_storage/queue",
                "sizer": "bytes",
                "queue_size": 9,
                "batch": {},
            },
            "retry_on_failure": {"max_elapsed_time": 0},
        }
    },
    "service": {
        "extensions": ["file_storage/queue"],
        "pipelines": {
            "logs": {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["otlp_http"]}
        },
    },
}


def _problems(config: Mapping[str, Any], head: str = _HEAD, file: str = "one.yaml") -> list[Problem]:
    text = f"{head}\n{yaml.safe_dump(dict(config))}"
    layer = Layer(file, text, config)
    return check_all({file: layer}, [Combination("alone", (file,))], known_types(_MANIFEST))


def _changed(path: str, value: Any) -> dict[str, Any]:
    """The good configuration with one setting changed; None takes it away."""
    config = deepcopy(dict(_GOOD))
    *parents, last = path.split(".")
    place: Any = config
    for name in parents:
        place = place.setdefault(name, {})
    place.pop(last, None)
    if value is not None:
        place[last] = value
    return config


def test_what_is_shipped_has_no_problem():
    assert check_all(shipped(), COMBINATIONS, known_types(_MANIFEST)) == []


def test_the_good_example_has_no_problem():
    assert _problems(_GOOD) == []


def test_every_layer_is_part_of_a_combination():
    files = {path.relative_to(FOLDER) for path in FOLDER.rglob("*.yaml")} - _NO_LAYERS
    layers = {path.as_posix() for path in files if path.parts[0] not in _SERVERS}
    assert layers == {name for combination in COMBINATIONS for name in combination.files}


def test_the_users_own_layer_is_empty_and_always_the_last():
    assert read_layer(FOLDER / "extras.yaml").content == {}
    assert {combination.files[-1] for combination in COMBINATIONS} == {"extras.yaml"}


def test_the_readme_names_every_layer():
    text = (FOLDER / "README.md").read_text()
    assert [name for name in shipped() if f"`{name}`" not in text] == []


def test_the_conditions_of_alerts_are_those_of_the_default_pack():
    assert {name: (collector_alerts.FOLDER / name).read_text() for name in collector_alerts.texts()} == (
        collector_alerts.texts()
    )


def test_tickspans_samplers_are_switched_off_by_the_setting_that_the_layer_names():
    settings = {f"TICKSPAN_METRICS_{one.name.upper()}" for one in fields(MetricSettings)}
    named = re.findall(r"TICKSPAN_METRICS_\w+", (FOLDER / "agent" / "host_metrics.yaml").read_text())
    assert (set(named), set(named) - settings) == ({"TICKSPAN_METRICS_HOST"}, set())


def test_maps_are_merged_and_lists_replaced():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
    above = {"a": {"c": [3], "f": 4}, "d": None}
    assert merge([below, above]) == {"a": {"b": 1, "c": [3], "f": 4}, "d": None}


def test_the_manifest_names_only_modules_that_the_linter_knows():
    assert len(known_types(_MANIFEST)) == sum(len(_MANIFEST.get(section, ())) for section in SECTIONS)


_QUEUE = "exporters.otlp_http.sending_queue"
_BROKEN: Sequence[tuple[str, Any, str, str]] = (
    ("service.pipelines.logs.receivers", ["otlp/2"], "undefined", r"names 'otlp/2', which is not among"),
    ("service.pipelines.logs.exporters", [], "undefined", "pipelines/logs has no exporters"),
    ("service.extensions", [], "undefined", "needs 'file_storage/queue' among service.extensions"),
    (
        "service.extensions",
        ["file_storage/queue", "zpages"],
        "undefined",
        "service.extensions names 'zpages'",
    ),
    ("processors.resource/idle", {}, "unused", "processors/resource/idle is in no pipeline"),
    ("exporters.otlphttp/old", {}, "alias", "exporters/otlphttp/old is a deprecated name: write otlp_http"),
    ("exporters.otlp", {}, "alias", "write otlp_grpc"),
    ("processors.batch", {}, "batch", "use sending_queue.batch"),
    ("receivers.redis", {}, "component", "receivers/redis is no component of manifest.yaml"),
    ("exporters.clickhouse", {}, "component", "exporters/clickhouse is no component"),
    ("service.pipelines.logs.processors", [], "limiter", "memory_limiter must come first"),
    ("processors.memory_limiter", {"check_interval": "1s"}, "limiter", "needs check_interval and limit_mib"),
    (f"{_QUEUE}.storage", None, "no-queue", "must be a file_storage"),
    (f"{_QUEUE}.enabled", False, "no-queue", "must be a file_storage"),
    (f"{_QUEUE}.sizer", "requests", "no-queue", "needs sizer: bytes"),
    (f"{_QUEUE}.queue_size", None, "no-queue", "needs sizer: bytes and queue_size"),
    (f"{_QUEUE}.batch", None, "no-queue", "sending_queue.batch is missing"),
    ("exporters.otlp_http.retry_on_failure", None, "no-queue", "max_elapsed_time must be 0"),
    ("exporters.otlp_http.retry_on_failure.enabled", False, "no-queue", "max_elapsed_time must be 0"),
    ("extensions.file_storage/queue.fsync", False, "storage", "fsync must be true"),
    ("extensions.file_storage/queue.recreate", None, "storage", "recreate must be true"),
    ("extensions.file_storage/queue.create_directory", None, "storage", "create_directory must be true"),
    ("extensions.file_storage/queue.max_size", None, "storage", "max_size is missing"),
    ("exporters.otlp_http.endpoint", "${env:OTHER}", "environment", "explain OTHER in the head"),
    ("exporters.otlp_http.endpoint", "http://x", "environment", "BACKEND is explained and not used"),
    ("receivers.otlp.protocols.grpc.endpoint", "0.0.0.0:4317", "open-listener", "listens on '0.0.0.0:4317'"),
    (
        "receivers.otlp.protocols.http",
        {"endpoint": "${env:BACKEND}:1"},
        "open-listener",
        r"listens on '\?:1'",
    ),
    (
        "receivers.otlp.protocols.http",
        {"endpoint": "[::]:1", "auth": {"authenticator": "otlp"}},
        "undefined",
        "",
    ),
    ("receivers.otlp.protocols.http", {}, "open-listener", "listens on ''"),
)


@pytest.mark.parametrize(
    ("path", "value", "rule", "message"), [pytest.param(*case, id=f"{case[0]}={case[1]}") for case in _BROKEN]
)
def test_a_fault_is_found_by_its_rule(path: str, value: Any, rule: str, message: str):
    found = [problem.message for problem in _problems(_changed(path, value)) if problem.rule == rule]
    assert [text for text in found if re.search(message, text)] != []


def test_a_limiter_behind_another_processor_is_found():
    config = _changed("service.pipelines.logs.processors", ["redaction", "memory_limiter"])
    config["processors"]["redaction"] = {}
    assert [problem.rule for problem in _problems(config)] == ["limiter"]


def test_a_pipeline_behind_a_connector_needs_no_limiter():
    config = _changed("connectors", {"forward": None})
    way_out = {"receivers": ["forward"], "exporters": ["otlp_http"]}
    config["service"]["pipelines"]["logs"]["exporters"] = ["forward"]
    config["service"]["pipelines"]["logs/out"] = way_out
    assert _problems(config) == []


def test_a_listener_with_certificate_and_authenticator_may_be_open():
    config = _changed("extensions.bearertokenauth", {"filename": "t"})
    config["service"]["extensions"].append("bearertokenauth")
    config["receivers"]["otlp"]["protocols"]["grpc"] = {
        "endpoint": "0.0.0.0:4317",
        "tls": {"cert_file": "c", "key_file": "k"},
        "auth": {"authenticator": "bearertokenauth"},
    }
    assert _problems(config) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "collector", "10.0.0.1"])
def test_the_collectors_own_metrics_are_a_listener_too(address: str):
    readers = [{"pull": {"exporter": {"prometheus": {"host": address, "port": 8888}}}}]
    config = _changed("service.telemetry", {"metrics": {"readers": readers}})
    assert [problem.rule for problem in _problems(config)] == ["open-listener"]


@pytest.mark.parametrize("extension", ["health_check", "zpages"])
def test_extensions_that_listen_are_looked_at(extension: str):
    config = _changed(f"extensions.{extension}", {"endpoint": "0.0.0.0:13133"})
    config["service"]["extensions"].append(extension)
    assert [problem.rule for problem in _problems(config)] == ["open-listener"]


_BALANCER: Mapping[str, Any] = {
    "sending_queue": {
        "enabled": True,
        "storage": "file_storage/queue",
        "sizer": "bytes",
        "queue_size": "${env:BACKEND}",
        "batch": {},
    },
    "retry_on_failure": {"enabled": True, "max_elapsed_time": 0},
    "protocol": {"otlp": {"sending_queue": {"enabled": False}}},
}


@pytest.mark.parametrize(
    ("section", "setting", "message"),
    [
        ("sending_queue", "enabled", "their default is false"),
        ("retry_on_failure", "enabled", "their default is false"),
        ("protocol", "otlp", "protocol.otlp.sending_queue.enabled must be false"),
    ],
)
def test_a_load_balancer_needs_its_queue_above_its_members(section: str, setting: str, message: str):
    balancer = deepcopy(dict(_BALANCER))
    config = _changed("exporters", {"load_balancing": balancer})
    config["service"]["pipelines"]["logs"]["exporters"] = ["load_balancing"]
    assert _problems(config) == []
    del balancer[section][setting]
    assert [message in problem.message for problem in _problems(config)] == [True]


def test_an_exception_with_a_reason_is_kept():
    config = _changed(f"{_QUEUE}.batch", None)
    head = _HEAD + "#\n# allow no-queue exporters/otlp_http: a test sends little\n"
    assert _problems(config, head) == []


def test_a_component_may_be_unused_with_a_reason():
    head = _HEAD + "#\n# allow unused processors/redaction: for extras\n"
    assert _problems(_changed("processors.redaction", {}), head) == []


def test_an_exception_without_a_reason_is_none():
    config = _changed(f"{_QUEUE}.batch", None)
    head = _HEAD + "#\n# allow no-queue exporters/otlp_http\n"
    assert [problem.rule for problem in _problems(config, head)] == ["allowance", "no-queue"]


def test_an_exception_that_nothing_needs_is_found():
    head = _HEAD + "#\n# allow no-queue exporters/otlp_http: it was so once\n"
    assert [str(problem) for problem in _problems(_GOOD, head)] == [
        "one.yaml: allowance: exporters/otlp_http needs no exception of no-queue any more"
    ]


def test_a_layer_for_a_back_end_may_use_what_the_manifest_lacks():
    config = _changed("exporters", {"clickhouse": _GOOD["exporters"]["otlp_http"]})
    config["service"]["pipelines"]["logs"]["exporters"] = ["clickhouse"]
    assert _problems(config, file="backends/one.yaml") == []
