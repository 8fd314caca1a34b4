"""Configuration: `logs.configure(...)`, for programs that say in code what becomes of their logs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, get_type_hints

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider

from tickspan.config import LogFormat, LogSettings
from tickspan.config.conversion import convert
from tickspan.logs.audit import AUDIT
from tickspan.logs.capture import CAPTURE, level_number
from tickspan.logs.console import Console
from tickspan.logs.handover import Wish, hand_over
from tickspan.logs.sessions import check_session
from tickspan.recording import diagnostics

__all__ = ["LoggingConfig", "Surroundings", "asked_directory", "configure", "set_up"]

LoggingConfig = LogSettings
"""What `configure` takes as a whole."""


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process has for log records.

    Attributes:
        logger_provider: takes them.
        meter_provider: gets their counts.
        service_name: under which the agent knows this process.
        spool: folder of the spool; None where nothing is spooled.
        segments: folder of this process's segments now; None while no disk takes records.
        share: how much of the spool's bound is taken; None where nothing waits in it.
        has_agent: whether an agent runs that can write files.
    """

    logger_provider: LoggerProvider
    meter_provider: MeterProvider | None = None
    service_name: str = ""
    spool: Path | None = None
    segments: Callable[[], Path | None] | None = None
    share: Callable[[], float] | None = None
    has_agent: bool = False


_given: Final[dict[str, Any]] = {}
_here: Final[list[Surroundings]] = []


def configure(config: LoggingConfig | None = None, **settings: Any) -> LogSettings:
    """Change settings of `logs.*` from now on; those that are not named stay. Returns what is in force.

    It may come before or after `tickspan.init()`; before, it waits for that. Files are written only where a
    folder was asked for before, since the agent hears then what to do for this process; it may change later.

    Args:
        config: all settings at once.
        **settings: single ones, by name: `directory="logs", prefix="oms", max_file_bytes=100 << 20`.

    Raises:
        ValueError: a name is unknown, or a value cannot be understood.
    """
    kinds = get_type_hints(LogSettings)
    changed: dict[str, Any] = {} if config is None else dataclasses.asdict(config)
    for name, value in settings.items():
        if name not in kinds:
            raise ValueError(f"logs.{name}: expected one of {', '.join(kinds)}")
        try:
            changed[name] = convert(str(value) if isinstance(value, Path) else value, kinds[name])
        except ValueError as error:
            raise ValueError(f"logs.{name}: {error}") from None
    merged = dataclasses.replace(CAPTURE.settings, **changed)
    level_number(merged.level)
    _check_prefix(merged.prefix)
    _check_session(merged.session)
    _given.update(changed)
    if _here:
        _apply(_here[0], merged)
    else:
        CAPTURE.configure(merged)
    return merged


def asked_directory() -> str | None:
    """The folder that `configure` has asked for before the start."""
    return _given.get("directory")


def set_up(settings: LogSettings, surroundings: Surroundings) -> None:
    """Begin to capture: the distribution calls this once the providers are there."""
    merged = dataclasses.replace(settings, **_given)
    try:
        level_number(merged.level)
        _check_prefix(merged.prefix)
        _check_session(merged.session)
    except ValueError as error:
        diagnostics.warning("%s", error)
        merged = dataclasses.replace(merged, level="INFO", prefix=LogSettings().prefix, session=None)
    _here[:] = [surroundings]
    _apply(surroundings, merged)


def _apply(surroundings: Surroundings, settings: LogSettings) -> None:
    CAPTURE.start(surroundings.logger_provider, settings, surroundings.meter_provider, surroundings.share)
    CAPTURE.show_on(
        Console(settings.format is LogFormat.JSON, lambda: sys.stderr) if settings.console else None
    )
    if surroundings.segments is not None:
        AUDIT.writes_to(surroundings.segments)
    is_wanted = Wish.of(settings) is not None
    if surroundings.spool is None:
        if is_wanted:
            diagnostics.warning(
                "logs: no files are written: they are made from the spool, and exporters of your own leave"
                " nothing there"
            )
        return
    if is_wanted and not surroundings.has_agent:
        diagnostics.warning(
            "logs: no files are written: they are the agent's, and none is to run;"
            " logs.directory before the start asks for one"
        )
        return
    with suppress(OSError):  # told by the agent, which finds no wish: the records are in the spool
        hand_over(surroundings.spool, surroundings.service_name, settings)


def _check_prefix(prefix: str) -> None:
    if (
        not prefix
        or prefix.startswith((".", "-"))
        or "/" in prefix
        or "\0" in prefix
        or prefix.endswith("-audit")
    ):
        raise ValueError(
            f"logs.prefix: expected the beginning of a file's name, such as 'oms'; got {prefix!r}"
        )


def _check_session(session: str | None) -> None:
    if session:
        try:
            check_session(session)
        except ValueError as error:
            raise ValueError(f"logs.session: {error}") from None
