"""Meter provider: the SDK's, under our name, so that one seam composes all three signals."""

from __future__ import annotations

from opentelemetry.sdk import metrics as sdk


class MeterProvider(sdk.MeterProvider):
    """Same constructor as the SDK's; zero arguments will do."""
