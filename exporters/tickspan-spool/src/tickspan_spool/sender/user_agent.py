"""How the sender calls itself."""

from __future__ import annotations

import functools
import importlib.metadata


@functools.cache
def user_agent() -> str:
    """Name and version, as OTLP asks of an exporter."""
    try:
        version = importlib.metadata.version("tickspan-spool")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return f"OTel-OTLP-Exporter-tickspan/{version}"
