"""The compose file: pinned, on loopback, checked, bounded; and its files are there and fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.collector_build import VERSION
from scripts.collector_config import COMBINATIONS, FOLDER, merge, read_layer

_COMPOSE: Mapping[str, Any] = yaml.safe_load((FOLDER.parent / "docker-compose.otel.yml").read_text())
_SERVICES: Mapping[str, Mapping[str, Any]] = _COMPOSE["services"]
_TAG = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?")
_IN_DOCKERFILE = re.compile(r"^FROM (\S+:\S+)", re.MULTILINE)

services = pytest.mark.parametrize("name", list(_SERVICES))


def _images(service: Mapping[str, Any]) -> Iterator[str]:
    build = service.get("build", {})
    yield service["image"]
    yield from build.get("args", {}).values()
    yield from _IN_DOCKERFILE.findall(build.get("dockerfile_inline", ""))


def test_it_brings_the_whole_stack():
    stack = {"collector", "jaeger", "prometheus", "alertmanager", "grafana", "redis", "postgres"}
    assert stack <= set(_SERVICES)


@services
def test_every_image_is_pinned_to_a_release(name: str):
    assert [image for image in _images(_SERVICES[name]) if not _TAG.fullmatch(image)] == []


@services
def test_every_port_is_published_on_loopback_only(name: str):
    ports = _SERVICES[name]["ports"]
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    assert "network_mode" not in _SERVICES[name]


def test_no_port_is_published_twice():
    ports = [port.split(":")[1] for service in _SERVICES.values() for port in service["ports"]]
    assert len(ports) == len(set(ports))


@services
def test_every_service_is_checked_and_bounded(name: str):
    service = _SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@services
def test_a_check_runs_a_program_of_its_image_against_a_port_of_its_own(name: str):
    service = _SERVICES[name]
    program = service["healthcheck"]["test"][1]
    assert ("build" in service) == (program == "/tools/busybox")


def test_every_volume_is_declared_and_used():
    mounted = {
        volume.split(":")[0] for service in _SERVICES.values() for volume in service.get("volumes", ())
    }
    assert {name for name in mounted if not name.startswith("./")} == set(_COMPOSE["volumes"])


def test_every_mounted_folder_is_in_the_repository(root: Path):
    folders = {
        volume.split(":")[0] for service in _SERVICES.values() for volume in service.get("volumes", ())
    }
    assert [one for one in folders if one.startswith("./") and not (root / one).is_dir()] == []


@pytest.mark.parametrize("traces", ["jaeger", "tempo"])
def test_the_collector_runs_a_combination_that_is_tested(traces: str):
    prefix = "--config=/etc/otelcol/"
    arguments = [
        one.replace("${TICKSPAN_TRACES:-jaeger}", traces) for one in _SERVICES["collector"]["command"]
    ]
    files = tuple(one.removeprefix(prefix) for one in arguments if one.startswith(prefix))
    assert len(files) == len(arguments)
    assert files in {combination.files for combination in COMBINATIONS}


def test_the_collector_is_of_the_release_that_is_tested():
    image = _SERVICES["collector"]["build"]["args"]["IMAGE"]
    assert image == f"otel/opentelemetry-collector-contrib:{VERSION}"


def test_the_collector_refuses_before_its_container_is_killed():
    service = _SERVICES["collector"]
    refuses_at_mib = int(service["environment"]["TICKSPAN_COLLECTOR_MEMORY_MIB"])
    collects_at_mib = int(service["environment"]["GOMEMLIMIT"].removesuffix("MiB"))
    assert refuses_at_mib < collects_at_mib < 1024 * int(service["mem_limit"].removesuffix("g"))


def test_every_variable_of_the_collector_is_one_of_its_files():
    files = [FOLDER / name for combination in COMBINATIONS for name in combination.files]
    text = "".join(path.read_text() for path in files)
    variables = [name for name in _SERVICES["collector"]["environment"] if name.startswith("TICKSPAN_")]
    assert [name for name in variables if f"env:{name}:-" not in text] == []


def test_stores_are_reached_where_they_listen():
    environment = _SERVICES["collector"]["environment"]
    hosts = {
        re.fullmatch(r"http://([a-z]+):\d+", environment[f"TICKSPAN_COLLECTOR_{name}"])
        for name in ("JAEGER", "TEMPO", "PROMETHEUS", "LOKI")
    }
    assert {found[1] for found in hosts if found} == {"jaeger", "tempo", "prometheus", "loki"}


def _yaml(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_jaeger_reads_durations_in_the_unit_that_they_are_written_in():
    sampling = merge([read_layer(FOLDER / "gateway" / "sampling.yaml").content])
    storage = _yaml("jaeger/jaeger.yaml")["extensions"]["jaeger_storage"]
    prometheus = storage["metric_backends"]["prometheus"]["prometheus"]
    unit = sampling["connectors"]["span_metrics"]["histogram"]["unit"]
    assert (unit, prometheus["latency_unit"], prometheus["normalize_duration"]) == ("s", "s", True)
    assert "namespace" not in sampling["connectors"]["span_metrics"]
    assert prometheus["metric_namespace"] == "traces_span_metrics"


def test_prometheus_takes_otlp_late_and_keeps_exemplars():
    settings = _yaml("prometheus/prometheus.yml")
    command = _SERVICES["prometheus"]["command"]
    assert {"--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"} <= set(command)
    assert settings["otlp"] == {"promote_resource_attributes": ["host.name", "deployment.environment.name"]}
    assert settings["storage"] == {"tsdb": {"out_of_order_time_window": "30m"}}


def test_data_sources_lead_to_services_and_to_one_another():
    sources = _yaml("grafana/provisioning/datasources/datasources.yaml")["datasources"]
    hosts = {source["url"].removeprefix("http://").split(":")[0] for source in sources}
    linked = re.findall(r"datasourceUid['\"]?: '?(\w+)", str(sources))
    assert hosts <= set(_SERVICES)
    assert set(linked) <= {source["uid"] for source in sources}
    assert len({source["uid"] for source in sources}) == len(sources)
