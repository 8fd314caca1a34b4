"""The wiring: the providers of this process, where evaluators find them, and where its rule file is.

Nothing heavy is imported here: this module is loaded at every start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickspan.config import AlertSettings

__all__ = ["FILE_NAMES", "Wiring", "configuration_folders", "connect", "rule_file", "wired"]

FILE_NAMES = ("alerts.toml", "alerts.yaml")


@dataclass(frozen=True, slots=True)
class Wiring:
    """What an evaluator in the process needs of it.

    Attributes:
        tracer_provider: whose spans event rules see.
        meter_provider: whose metrics are read.
        logger_provider: that changes are told to.
        settings: of alerts.
        file: the rule file; None where there is none.
        tells_people: whether this process tells the notifiers itself, since it has no agent that would.
    """

    tracer_provider: Any
    meter_provider: Any
    logger_provider: Any
    settings: AlertSettings
    file: Path | None = None
    tells_people: bool = False


_wirings: list[Wiring] = []


def connect(wiring: Wiring) -> None:
    """These are the providers of this process from now on."""
    _wirings[:] = [wiring]


def wired() -> Wiring | None:
    """The providers; None before telemetry runs."""
    return _wirings[0] if _wirings else None


def rule_file(settings: AlertSettings, folders: Iterable[Path]) -> Path | None:
    """The file that the settings name, else one of the usual names in a folder of the configuration.

    A named file need not be there yet: it is watched.
    """
    if settings.file:
        return Path(settings.file).expanduser()
    for folder in folders:
        for name in FILE_NAMES:
            path = folder / name
            try:
                if path.is_file():
                    return path
            except OSError:  # the folder may not be searched
                continue
    return None


def configuration_folders(
    origins: Mapping[str, Any], environ: Mapping[str, str], variable: str
) -> list[Path]:
    """Folders of the files that settings came from, and of the one that is named; else the working folder.

    A configuration that is not there leads to its folder, too: a rule file needs no settings beside it.
    """
    places = [Path(str(origin.place)) for origin in origins.values() if str(origin.place).endswith(".toml")]
    named = Path(environ.get(variable) or "tickspan.toml")
    return list(dict.fromkeys(path.parent for path in (*places, named)))
