"""`tickspan.init()`: the whole distribution in one call, for programs that use no launcher."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.version import __version__ as instrumentation_version

from tickspan.config import Reading, Settings, read_settings, setting_keys
from tickspan.distro.distro import TickspanDistro, process_pipeline
from tickspan.instrumentation import redact
from tickspan.recording import diagnostics

_lock: Final = threading.Lock()
_settings: Settings | None = None


def init(
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    service_name: str | None = None,
    preset: str | None = None,
) -> Settings:
    """Read settings, build the providers, and switch every installed instrumentor on.

    Idempotent: a second call returns the settings of the first, and one under a launcher those of the
    launcher; settings that come too late are named in a warning. Libraries may be imported before or after.

    Args:
        config: a mapping such as `{"trading": {"quantities": "bucketed"}}`, or the path of a TOML file.
        service_name: `service.name`, stronger than `config`.
        preset: `hft`, `risk`, `oms`, `debug`, or several with commas: settings that are weaker than all that
            is set otherwise.

    Raises:
        SettingsError: a key or preset is unknown (the nearest is named) or a value cannot be understood.
    """
    global _settings
    given = {"service_name": service_name, "preset": preset}
    overrides = {name: value for name, value in given.items() if value is not None}
    reading = read_settings(config, environ=os.environ, overrides=overrides)
    reading.checked()
    with _lock:
        if _settings is None and not TickspanDistro.is_launched:
            _settings = _start(reading)
            return _settings
        running = _settings or TickspanDistro.settings_read().settings
    late = _late(reading, running, str(config))
    if late:
        diagnostics.warning("init: telemetry is already running; not applied: %s", ", ".join(late))
    return running


def start_quietly() -> None:
    """As `init`, for launchers: whatever goes wrong is told in one line, and the program runs."""
    TickspanDistro.is_launched = True
    try:
        process_pipeline(instrumentation_version).install()
        TickspanDistro().load_instrumentors()
    except Exception as error:  # noqa: BLE001 - a launcher's top: the program comes first
        diagnostics.error("not started: %s: %s", type(error).__name__, redact.text(str(error)))


def _start(reading: Reading) -> Settings:
    TickspanDistro.use(reading)
    process_pipeline(instrumentation_version).install()
    TickspanDistro().load_instrumentors()
    return reading.settings


def _late(reading: Reading, running: Settings, file: str) -> list[str]:
    """Keys that this call gives, itself or in its file, and that run with another value."""
    return [
        key.name
        for key in setting_keys()
        if (reading.origins[key.name].layer == "code" or reading.origins[key.name].place == file)
        and key.value_in(reading.settings) != key.value_in(running)
    ]
