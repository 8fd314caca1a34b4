"""Logger provider: the SDK's, under our name, so that one seam composes all three signals."""

from __future__ import annotations

from opentelemetry.sdk import _logs as sdk


class LoggerProvider(sdk.LoggerProvider):
    """Same constructor as the SDK's; zero arguments will do."""
