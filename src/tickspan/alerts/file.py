"""The rule file: read with what it includes, and checked."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from tickspan.alerts.exchanges import ExchangeTables, table_directory
from tickspan.alerts.text import MAX_BYTES, Document, TextError, read_toml, read_yaml
from tickspan.analysis.rules.document import Basis, Content, includes_of, read_content
from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.model import Rule
from tickspan.analysis.rules.openslo import is_openslo
from tickspan.analysis.rules.problems import Misread, Place, RuleProblem
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.sessions import MakeCalendar
from tickspan.semconv.catalogue import METRICS

__all__ = [
    "DEFAULT_PACK",
    "RuleFileError",
    "catalogue_facts",
    "load_rules",
    "read_rules",
]

DEFAULT_PACK: Final = "default"

_MAX_DEPTH: Final = 8
_TOLD: Final = 20
_MIB: Final = 1024 * 1024
_SECONDS_BOUNDS: Final = (
    *(round(digit * 10.0**power, 10) for power in range(-5, 2) for digit in (1, 2, 5)),
    100.0,
)
"""1-2-5 per decade, 10 µs to 100 s: what instrumentors of databases record with."""
_OF_DATABASES: Final = ("db.client.", "redis.client.")


class RuleFileError(ValueError):
    """A rule file has problems.

    Attributes:
        problems: all of them.
    """

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - _TOLD
        told = [str(problem) for problem in self.problems[:_TOLD]]
        super().__init__("\n".join([*told, f"and {more} more"] if more > 0 else told))


def load_rules(path: str | Path) -> RuleSet:
    """The rules of a file and of what it includes.

    Raises:
        RuleFileError: the file cannot be read, or any rule of it is wrong.
    """
    rules, problems = read_rules(path)
    if problems:
        raise RuleFileError(problems)
    return rules


def read_rules(
    path: str | Path,
    *,
    facts: Mapping[str, MetricFact] | None = None,
    calendar: MakeCalendar | None = None,
) -> tuple[RuleSet, tuple[RuleProblem, ...]]:
    """As `load_rules`, for those who go on with the rules that are right. Never raises.

    Args:
        path: of the file; `default` is the pack that tickspan brings.
        facts: of the metrics that are known; those of the catalogue if None.
        calendar: makes calendars; by default exchanges are looked for in tables on disk, then asked of the
            extra `calendars`.
    """
    reading = _Reading(
        catalogue_facts() if facts is None else facts,
        calendar or ExchangeTables(table_directory()),
    )
    content = reading.of_pack() if str(path) == DEFAULT_PACK else reading.of_file(Path(path), ())
    return content.rules, tuple(reading.problems)


@cache
def catalogue_facts() -> Mapping[str, MetricFact]:
    """What the catalogue knows of metrics, by name."""
    return {
        metric.name: MetricFact(
            metric.name,
            MetricKind(metric.instrument),
            metric.unit,
            metric.attributes,
            _bounds(metric.name, metric.instrument, metric.unit),
        )
        for metric in METRICS.values()
    }


def _bounds(name: str, instrument: str, unit: str) -> tuple[float, ...] | None:
    """Those that are sure: `trading.*` are exponential, and others' instrumentors choose their own."""
    is_sure = instrument == MetricKind.HISTOGRAM and unit == "s" and name.startswith(_OF_DATABASES)
    return _SECONDS_BOUNDS if is_sure else None


_NOTHING: Final = Content(RuleSet(), {}, ())


@dataclass(slots=True)
class _Reading:
    """One file being read, with all that it includes."""

    facts: Mapping[str, MetricFact]
    calendar: MakeCalendar
    problems: list[RuleProblem] = field(default_factory=list[RuleProblem])

    def of_pack(self) -> Content:
        """The pack that tickspan brings."""
        text = resources.files("tickspan.alerts").joinpath("pack/default.yaml").read_text(encoding="utf-8")
        return self._of_text(text, "default.yaml", "default.yaml", Path(), ())

    def of_file(self, path: Path, above: tuple[Path, ...]) -> Content:
        """What a file says, together with what it includes. Faults become problems."""
        try:
            text = _text_of(path)
        except Misread as misread:
            self.problems.append(RuleProblem(str(path), None, "", str(misread)))
            return _NOTHING
        return self._of_text(text, path.suffix, str(path), path.parent, (*above, path.resolve()))

    def _of_text(
        self, text: str, suffix: str, file: str, directory: Path, above: tuple[Path, ...]
    ) -> Content:
        try:
            document = _document(text, suffix)
        except TextError as error:
            self.problems.append(RuleProblem(file, error.line, "", str(error)))
            return _NOTHING
        basis = self._included(document, file, directory, above)
        content = read_content(
            document.value, self.facts, file, document.lines, basis=basis, calendar=self.calendar
        )
        self.problems.extend(content.problems)
        return content

    def _included(self, document: Document, file: str, directory: Path, above: tuple[Path, ...]) -> Basis:
        rules: dict[str, tuple[str, Rule]] = {}
        basis = Basis()
        for name in includes_of(document.value):
            path = directory / Path(name).expanduser()
            if name == DEFAULT_PACK:
                content = self.of_pack()
            elif path.resolve() in above or len(above) >= _MAX_DEPTH:
                self._problem(document, file, f"expected files that do not include one another, got '{name}'")
                continue
            else:
                content = self.of_file(path, above)
            for rule in content.rules.rules:
                known = rules.setdefault(rule.name, (name, rule))
                if known[1] != rule:
                    self._problem(document, file, f"'{known[0]}' and '{name}' both have a rule '{rule.name}'")
            basis = Basis(
                RuleSet(
                    tuple(rule for _, rule in rules.values()),
                    {**basis.rules.calendars, **content.rules.calendars},
                    {**basis.rules.notifiers, **content.rules.notifiers},
                    {**basis.rules.metrics, **content.rules.metrics},
                ),
                {**basis.objectives, **content.objectives},
            )
        return basis

    def _problem(self, document: Document, file: str, message: str) -> None:
        line = document.lines.get(("include",))
        self.problems.append(RuleProblem(file, line, "include", message))


def _text_of(path: Path) -> str:
    """The text of a regular file of bounded size. Raises `Misread` with one line that says what is wrong."""
    try:
        return _bytes_of(path).decode("utf-8-sig")
    except Misread:
        raise
    except UnicodeDecodeError as error:
        raise Misread(f"cannot be read: expected UTF-8 text, got another byte at {error.start}") from None
    except OSError as error:
        raise Misread(f"cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise Misread("cannot be read: expected a name without a null byte") from None


def _bytes_of(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Misread("cannot be read: expected a file, got something else")
    if status.st_size > MAX_BYTES:
        size = f"{status.st_size / _MIB:.1f} MiB"
        raise Misread(f"cannot be read: expected at most {MAX_BYTES // _MIB} MiB, got {size}")
    return path.read_bytes()


def _document(text: str, suffix: str) -> Document:
    """One rule document; the documents of an OpenSLO file become one with `slos`."""
    if suffix.endswith(".toml"):
        return read_toml(text)
    if not suffix.endswith((".yaml", ".yml", ".json")):
        raise TextError("expected a file called .toml, .yaml or .yml")
    try:
        documents = read_yaml(text)
    except ImportError:
        raise TextError("expected 'pip install tickspan[alerts]' for YAML, or a file in TOML") from None
    if any(is_openslo(document.value) for document in documents):
        return _of_openslo(documents)
    if len(documents) > 1:
        line = documents[1].lines.get(())
        raise TextError(f"expected one document, got {len(documents)}", line)
    return documents[0] if documents else Document(None)


def _of_openslo(documents: Sequence[Document]) -> Document:
    lines: dict[Place, int] = {}
    values: list[Any] = []
    for number, document in enumerate(documents):
        values.append(document.value)
        lines |= {("slos", number, *place): line for place, line in document.lines.items()}
    return Document({"slos": values}, lines)
