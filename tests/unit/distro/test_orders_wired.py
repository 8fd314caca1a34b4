"""What the distribution does for orders: they are always sampled, and their times are exponential."""

import subprocess
from collections.abc import Callable

import pytest

from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

Run = Callable[..., subprocess.CompletedProcess[str]]

_SPANS = """
import tickspan; tickspan.init()
from opentelemetry import trace
tracer = trace.get_tracer('program')
with tracer.start_as_current_span('request'):
    tracer.start_span('trading.order.submit sim').end()
    tracer.start_span('trading.feed.message').end()
"""
_HISTOGRAMS = """
import tickspan; tickspan.init()
from opentelemetry import metrics
for name in ('trading.wire_to_ack', 'http.client.request.duration'):
    metrics.get_meter('program').create_histogram(name).record(0.5)
metrics.get_meter('program').create_counter('trading.order.fills').add(1)
"""


@pytest.mark.parametrize(
    ("sampler", "argument", "told"),
    [
        ("parentbased_traceidratio", "0", ["trading.order.submit sim"]),
        ("traceidratio", "0", ["trading.order.submit sim"]),
        ("parentbased_always_off", "", ["trading.order.submit sim"]),
        ("always_off", "", []),
        ("", "", ["request", "trading.feed.message", "trading.order.submit sim"]),
    ],
)
def test_an_order_is_sampled_whatever_the_sampler_says_of_other_spans(
    run_python: Run, sampler: str, argument: str, told: list[str]
):
    with OtlpServer() as server:
        run_python(
            _SPANS,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_TRACES_SAMPLER=sampler,
            OTEL_TRACES_SAMPLER_ARG=argument,
        )
        names = sorted(span.name for span in server.spans())
    assert names == told


@pytest.mark.parametrize(
    ("variable", "kind"),
    [("", "exponential_histogram"), ("explicit_bucket_histogram", "histogram")],
)
def test_times_of_orders_are_exponential_unless_the_variable_says_otherwise(
    run_python: Run, variable: str, kind: str
):
    with OtlpServer() as server:
        run_python(
            _HISTOGRAMS,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=variable,
        )
        kinds = {metric.name: metric.kind for metric in server.metrics() if metric.scope == "program"}
    assert kinds == {
        "trading.wire_to_ack": kind,
        "http.client.request.duration": "histogram",
        "trading.order.fills": "sum",
    }
