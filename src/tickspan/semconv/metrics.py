"""Names that a metric's own points carry."""

from typing import Final

OTEL_METRIC_OVERFLOW: Final = "otel.metric.overflow"
"""True on the one series that takes what an instrument's limit of attribute sets refused."""
