"""The collector that tests send to, and stock OpenTelemetry providers that send to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.collector import Collector, running_collector


@pytest.fixture
def collector(otelcol: Path, tmp_path: Path) -> Iterator[Collector]:
    """A collector that writes what it receives to a file."""
    configuration = Path(__file__).with_name("otlp_to_file.yaml")
    with running_collector(otelcol, configuration, tmp_path) as running:
        yield running
