"""From code, environment, file and preset to settings: the strongest wins, and each value knows its origin.

A key `trading.quantities` is `TICKSPAN_TRADING_QUANTITIES` in the environment, `[trading] quantities` in
`tickspan.toml`, `distribution.tickspan.trading.quantities` in `OTEL_CONFIG_FILE`, and
`init({"trading": {"quantities": …}})` in code. The setting `preset` names bundles of settings that are weaker
than all of these.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tickspan.config.conversion import convert
from tickspan.config.presets import rows_of
from tickspan.config.schema import SettingKey, Settings, build, setting_keys

FILE_VARIABLE: Final = "TICKSPAN_CONFIG_FILE"
DECLARATIVE_VARIABLE: Final = "OTEL_CONFIG_FILE"
DEFAULT_FILE: Final = "tickspan.toml"
_PRESET: Final = "preset"
"""A layer, and the key of the setting that names its presets."""
# Variables of the launcher and the test set-up, which are no settings.
_OTHER_VARIABLES: Final = (
    "TICKSPAN_TEST_",
    FILE_VARIABLE,
    "TICKSPAN_PURE",
    "TICKSPAN_REQUIRE_",
    "TICKSPAN_RUN_",
    "TICKSPAN_DEMO_",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `code`, `environment`, a file, a preset, or `default`."""

    layer: str
    place: str = ""

    def __str__(self) -> str:
        if self.layer == _PRESET:
            return f"{self.layer} {self.place}"
        return f"{self.layer} ({self.place})" if self.place else self.layer


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """A value that was not taken."""

    origin: Origin
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.origin.place or self.origin.layer}: {self.key}: {self.message}"


class SettingsError(ValueError):
    """Settings that cannot be understood; `problems` lists each."""

    def __init__(self, problems: tuple[SettingsProblem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


@dataclass(frozen=True, slots=True)
class Reading:
    """Settings with the origin of each key, and the problems of values that were left out."""

    settings: Settings
    origins: Mapping[str, Origin]
    problems: tuple[SettingsProblem, ...] = ()

    def checked(self) -> Settings:
        """The settings; raises `SettingsError` if any value was left out."""
        if self.problems:
            raise SettingsError(self.problems)
        return self.settings


_Given = tuple[Origin, str, Any]
"""Origin, dotted key, raw value."""


def read_settings(
    code: Mapping[str, Any] | str | Path | None = None,
    *,
    environ: Mapping[str, str],
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Reading:
    """Read all layers. Never raises: what cannot be understood is a problem and keeps its weaker value.

    Args:
        code: settings given to `init`: a mapping, or the path of a TOML file.
        environ: the environment.
        overrides: single settings given in code beside `code`, stronger than all.
        directory: where `tickspan.toml` is looked for; the working directory if None.
    """
    problems: list[SettingsProblem] = []
    given = [
        *_from_files(environ, directory or Path(), problems),
        *_from_environment(environ),
        *_from_code(code, problems),
        *_flattened(Origin("code"), overrides or {}),
    ]
    keys = {key.name: key for key in setting_keys()}
    values: dict[str, Any] = {}
    origins = dict.fromkeys(keys, Origin("default"))
    for origin, name, raw in _with_presets(given, problems):
        key = keys.get(name)
        if key is None:
            problems.append(SettingsProblem(origin, name, _unknown(origin, name, keys)))
            continue
        try:
            values[name] = convert(raw, key.kind)
        except ValueError as error:
            message = "expected a text, got something else" if key.is_secret else str(error)
            problems.append(SettingsProblem(origin, name, message))
            continue
        origins[name] = origin
    return Reading(build(values), origins, tuple(problems))


def _unknown(origin: Origin, name: str, keys: Mapping[str, SettingKey]) -> str:
    """What is wrong with a name, and the nearest right one as this layer spells it."""
    members = [key for key in keys if key.startswith(f"{name}.")]
    if members:
        return f"expected keys below it ({', '.join(members)})"
    if origin.layer == "environment":
        return f"unknown variable{_hint(origin.place, [key.variable for key in keys.values()])}"
    return f"unknown key{_hint(name, list(keys))}"


def _hint(name: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{nearest[0]}'?" if nearest else f"; known: {', '.join(known)}"


def _flattened(origin: Origin, values: Mapping[Any, Any], prefix: str = "") -> Iterator[_Given]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened(origin, value, f"{prefix}{name}.")
        else:
            yield origin, f"{prefix}{name}", value


def _with_presets(given: Sequence[_Given], problems: list[SettingsProblem]) -> list[_Given]:
    """Below what is given, the rows of the presets that the strongest layer names."""
    rows: list[_Given] = []
    kept: list[_Given] = []
    for origin, name, raw in given:
        if name == _PRESET:
            try:
                chosen = list(rows_of(convert(raw, tuple[str, ...])))
            except ValueError as error:
                problems.append(SettingsProblem(origin, name, str(error)))
                continue
            rows = [(Origin(_PRESET, preset), row.key, row.value) for preset, row in chosen]
        kept.append((origin, name, raw))
    return [*rows, *kept]


def _from_code(
    code: Mapping[str, Any] | str | Path | None, problems: list[SettingsProblem]
) -> Iterator[_Given]:
    if isinstance(code, Mapping):
        yield from _flattened(Origin("code"), code)
    elif code is not None:
        yield from _from_toml(Path(code), problems)


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    names = {key.variable: key.name for key in setting_keys()}
    for variable, value in sorted(environ.items()):
        is_ours = variable.startswith("TICKSPAN_") and not variable.startswith(_OTHER_VARIABLES)
        if is_ours and value:  # OpenTelemetry: an empty variable is not set
            name = names.get(variable, variable.removeprefix("TICKSPAN_").lower())
            yield Origin("environment", variable), name, value


def _from_files(
    environ: Mapping[str, str], directory: Path, problems: list[SettingsProblem]
) -> Iterator[_Given]:
    named = environ.get(FILE_VARIABLE)
    default = directory / DEFAULT_FILE
    if named:
        yield from _from_toml(Path(named), problems)
    elif os.access(default, os.F_OK):  # `Path.exists` raises where the folder may not be searched
        yield from _from_toml(default, problems)
    declarative = environ.get(DECLARATIVE_VARIABLE)
    if declarative:
        yield from _from_declarative(Path(declarative), environ, problems)


def _from_toml(path: Path, problems: list[SettingsProblem]) -> Iterator[_Given]:
    origin = Origin("file", str(path))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(SettingsProblem(origin, "(file)", f"cannot be read: {error}"))
        return
    yield from _flattened(origin, values)


def _from_declarative(
    path: Path, environ: Mapping[str, str], problems: list[SettingsProblem]
) -> Iterator[_Given]:
    """The section `distribution.tickspan` of OpenTelemetry's declarative configuration file."""
    origin = Origin("file", f"{path} distribution.tickspan")
    try:
        import yaml  # the extra `declarative` brings it; nobody else pays for it
    except ImportError:
        message = "needs 'pip install tickspan[declarative]'"
        problems.append(SettingsProblem(origin, DECLARATIVE_VARIABLE, message))
        return
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        problems.append(SettingsProblem(origin, "(file)", f"cannot be read: {error}"))
        return
    section: Any = document
    for name in ("distribution", "tickspan"):
        section = section.get(name) if isinstance(section, Mapping) else None
    if isinstance(section, Mapping):
        for _, name, raw in _flattened(origin, section):
            value = _substituted(raw, environ)
            if value is not None:  # null, also what an unset variable leaves, is the default
                yield origin, name, value
    elif section is not None:
        problems.append(SettingsProblem(origin, "(section)", f"expected a mapping, got {section!r}"))


_REFERENCE: Final = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?:env:)?(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}\n]*))?\})"
)


def _substituted(value: Any, environ: Mapping[str, str]) -> Any:
    """A value with its `${NAME}`, `${env:NAME}`, `${NAME:-default}` and `$$` replaced, as the format says."""
    if isinstance(value, list):
        return [item for item in (_substituted(item, environ) for item in value) if item is not None]
    if not isinstance(value, str):
        return value
    text = _REFERENCE.sub(
        lambda match: match["escaped"] or environ.get(match["name"]) or match["default"] or "", value
    )
    return text if text or not value else None
