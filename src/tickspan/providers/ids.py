"""OpenTelemetry's id generator over our private ids."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from tickspan.recording import PrivateIds


class PrivateIdGenerator(RandomIdGenerator):
    """Random ids that draw nothing from the global `random`: a back-test stays reproducible."""

    def __init__(self) -> None:
        self._ids = PrivateIds()

    def generate_span_id(self) -> int:
        """64 random bits, never zero."""
        return self._ids.span_id()

    def generate_trace_id(self) -> int:
        """128 random bits, never zero."""
        return self._ids.trace_id()
