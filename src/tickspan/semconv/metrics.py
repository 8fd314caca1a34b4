"""Names that a metric's own points carry."""

from typing import Final

OTEL_METRIC_OVERFLOW: Final = "otel.metric.overflow"
"""True on the one series that takes what an instrument's limit of attribute sets refused."""

TICKSPAN_MEASUREMENTS_IGNORED: Final = "tickspan.measurements.ignored"
"""Measurements of `tickspan.record_metric` that were none."""
METRIC_NAME: Final = "tickspan.metric.name"
IGNORED_REASON: Final = "tickspan.ignored.reason"
"""negative or not_a_number."""
