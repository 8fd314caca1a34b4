"""Advised indexes on trial: noticed when they appear in a catalog, judged by what the store recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tickspan.analysis.traces import Latencies, Sighting
from tickspan.processors.queries import advised as advice_file
from tickspan.processors.queries.advised import Advised, recall
from tickspan.processors.queries.store import KEPT_S, QueryReader, QueryStore, Sighted

if TYPE_CHECKING:
    from tickspan.analysis.sql.schema import Schema

__all__ = ["Trials", "sides"]

PATIENCE_S: Final = 86_400.0
"""For statements of a trial that run too rarely; then the others decide."""
_MINUTE_S: Final = 60
_NANO: Final = 10**9


class Trials:
    """For one thread."""

    def __init__(self, home: Path, store: QueryStore) -> None:
        """`home` is where advice is remembered; `store` has the latencies, and keeps what was seen.

        Raises:
            sqlite3.Error, OSError: the store is none of ours.
        """
        self._home = home
        self._store = store
        self._sighted = store.sighted()
        self._advised: dict[str, Advised] = {}
        self._written_ns = 0
        self._places: dict[str, tuple[str, str]] = {}
        self._absent_s: dict[tuple[str, str], float] = {}

    def __repr__(self) -> str:
        verdicts = sum(bool(one.verdict) for one in self._sighted.values())
        return f"<Trials of {len(self._advised)} indexes: {len(self._sighted)} exist, {verdicts} judged>"

    def awaits(self, now_s: float) -> bool:
        """Whether there is an index that was advised in the last 14 days and that nobody has seen."""
        self._recall()
        return any(
            one.id not in self._sighted and now_s - one.at_s < KEPT_S for one in self._advised.values()
        )

    def look(self, system: str, namespace: str, schema: Schema, now_s: float) -> None:
        """Which advised indexes a catalog has that was read just now. Raises as `QueryStore.sight`."""
        self._recall()
        for one in self._advised.values():
            if not _exists(one, schema):
                self._absent_s[one.id, namespace] = now_s
                continue
            self._places[one.id] = (system, namespace)
            if one.id not in self._sighted:
                absent_s = self._absent_s.get((one.id, namespace), one.at_s)
                self._keep(one.id, Sighted(absent_s, now_s))

    def judge(self, now_s: float) -> list[Sighting]:
        """Verdicts that can be told now, each once.

        One waits for all of its statements to have run often enough, a day at most. Times are since 1970.

        Raises:
            sqlite3.Error, OSError, ValueError: the store cannot be read.
        """
        on_trial = [
            (one, sighted)
            for one in self._advised.values()
            if one.id in self._places and not (sighted := self._sighted[one.id]).verdict
        ]
        if not on_trial or not self._store.path.exists():
            return []
        with QueryReader(self._store.path) as reader:
            labels = {key.fingerprint: told.summary for key, told in reader.statements().items()}
            return [found for pair in on_trial for found in self._verdict(*pair, reader, labels, now_s)]

    def _verdict(
        self, one: Advised, sighted: Sighted, reader: QueryReader, labels: Mapping[str, str], now_s: float
    ) -> Iterator[Sighting]:
        from tickspan.analysis.indexes.verify import trial_of, verify  # sqlglot, half a second

        system, namespace = self._places[one.id]
        latencies = {
            fingerprint: sides(reader, fingerprint, sighted, namespace=namespace)
            for fingerprint in one.fingerprints
        }
        trial = trial_of(one.name, latencies, labels=labels, rollback=one.rollback)
        if trial.too_few and now_s - sighted.present_s < PATIENCE_S:
            return
        for finding in verify(trial):
            self._keep(one.id, sighted._replace(verdict=finding.rule))
            named = replace(finding, summary=labels.get(finding.fingerprint, ""))
            yield Sighting(named, 0, 0, round(now_s * _NANO), 0.0, system, namespace)

    def _keep(self, advice: str, sighted: Sighted) -> None:
        self._sighted[advice] = sighted
        self._store.sight(advice, sighted)

    def _recall(self) -> None:
        try:
            written_ns = (self._home / advice_file.FILE).stat().st_mtime_ns
        except OSError:
            return
        if written_ns != self._written_ns:
            self._written_ns = written_ns
            self._advised = recall(self._home)


def _exists(advised: Advised, schema: Schema) -> bool:
    table = schema.table(advised.table)
    return table is not None and any(index.name == advised.name and index.is_valid for index in table.indexes)


def sides(
    reader: QueryReader,
    fingerprint: str,
    sighted: Sighted,
    *,
    since_s: float = 0.0,
    namespace: str | None = None,
) -> tuple[Latencies, Latencies]:
    """A statement's latencies before an index was known last to be absent, and since it was seen first.

    What lies between, and a minute that holds either moment, is on neither side.

    Args:
        reader: of the store.
        fingerprint: of the statement.
        sighted: when the index was absent and present.
        since_s: that the earlier side begins at, since 1970.
        namespace: of the database; None for all.
    """
    before, after = Latencies(), Latencies()
    for minute in reader.history(fingerprint, since_s, namespace):
        if minute.at_s + _MINUTE_S <= sighted.absent_s:
            before.merge(minute.usage.latencies)
        elif minute.at_s >= sighted.present_s:
            after.merge(minute.usage.latencies)
    return before, after
