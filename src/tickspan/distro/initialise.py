"""`tickspan.init()`: the whole distribution in one call, for programs that use no launcher."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.version import __version__ as instrumentation_version

from tickspan.config import Settings
from tickspan.distro.distro import TickspanDistro, process_pipeline
from tickspan.instrumentation import redact
from tickspan.recording import diagnostics

_lock: Final = threading.Lock()
_settings: Settings | None = None


def init(
    config: Mapping[str, Any] | str | Path | None = None, *, service_name: str | None = None
) -> Settings:
    """Read settings, build the providers, and switch every installed instrumentor on.

    Idempotent: a second call returns the settings of the first. Libraries may be imported before or after.

    Args:
        config: a mapping such as `{"trading": {"quantities": "bucketed"}}`, or the path of a TOML file.
        service_name: `service.name`, stronger than `config`.

    Raises:
        SettingsError: a key is unknown (the nearest is named) or a value cannot be understood.
    """
    global _settings
    with _lock:
        if _settings is None:
            _settings = _start(config, service_name)
        return _settings


def start_quietly() -> None:
    """As `init`, for launchers: whatever goes wrong is told in one line, and the program runs."""
    try:
        distro = TickspanDistro()
        distro.configure()
        process_pipeline(instrumentation_version).install()
        distro.load_instrumentors()
    except Exception as error:  # noqa: BLE001 - a launcher's top: the program comes first
        diagnostics.error("not started: %s: %s", type(error).__name__, redact.text(str(error)))


def _start(config: Mapping[str, Any] | str | Path | None, service_name: str | None) -> Settings:
    overrides = {} if service_name is None else {"service_name": service_name}
    settings = TickspanDistro.settings_read(config, **overrides).checked()
    distro = TickspanDistro()
    distro.configure()
    process_pipeline(instrumentation_version).install()
    distro.load_instrumentors()
    return settings
