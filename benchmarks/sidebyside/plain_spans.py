"""Workloads without a library: the empty loop, and one recorded span."""

from __future__ import annotations

from collections.abc import Mapping

from sidebyside.stories import Expected
from sidebyside.telemetry import Kind, Telemetry
from sidebyside.workload import Workload

_NAME = "decide"
_ATTRIBUTES: Mapping[str, str | int | float | bool] = {
    "app.symbol": "BTC/USDT",
    "app.side": "buy",
    "app.level": 3,
    "app.spread": 0.25,
    "app.is_maker": True,
}


def nothing(telemetry: Telemetry, server: str) -> Workload:
    """The loop itself."""
    del telemetry, server

    def run(operations: int) -> None:
        for _ in range(operations):
            pass

    return Workload("", run)


def five_attributes(telemetry: Telemetry, server: str) -> Workload:
    """A current span of five attributes, as an application writes one."""
    del server
    tracer = telemetry.tracer_provider.get_tracer("benchmark")
    attributes = tuple(_ATTRIBUTES.items())

    def run(operations: int) -> None:
        for _ in range(operations):
            with tracer.start_as_current_span(_NAME) as span:
                for name, value in attributes:
                    span.set_attribute(name, value)

    is_recorded = telemetry.kind is Kind.STOCK or telemetry.kind.is_ours
    return Workload("", run, (Expected(_NAME, _ATTRIBUTES),) if is_recorded else ())
