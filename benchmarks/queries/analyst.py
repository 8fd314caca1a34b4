"""A process that reads statements it has not seen, as the agent does: parsed, and shown to all rules."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.sidebyside.lines import answer, questions
from tickspan.analysis.sql import Dialect, Kind, Statement, canonicalise
from tickspan.testing.sql import statements

_SEED: Final = 20261126
_PARSED: Final = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE})


def new_statements(count: int) -> list[Statement]:
    """Different queries and changes, without data, the same in each process."""
    found: dict[str, Statement] = {}
    for generated in statements(_SEED, "postgresql", 20 * count):
        statement = canonicalise(generated.sql, Dialect.POSTGRESQL)
        if statement.kind in _PARSED and not generated.is_cut:
            found.setdefault(statement.fingerprint, statement)
        if len(found) == count:
            break
    return list(found.values())


def analyse(known: Sequence[Statement], until_s: float) -> int:
    """How many of them, one after the other and from the start again, were read before `until_s`."""
    from tickspan.analysis.sql.parsed import parse  # sqlglot: a second, and only the agent needs it
    from tickspan.analysis.sql.rules.checker import Checker
    from tickspan.analysis.sql.rules.context import Context

    checker = Checker()
    count = 0
    while time.perf_counter() < until_s:
        statement = known[count % len(known)]
        parsed = parse(statement.text, Dialect.POSTGRESQL)
        checker.check(parsed, Context(parsed.statement, Dialect.POSTGRESQL, names=parsed.names))
        count += 1
    return count


def main(count: str) -> None:
    """Prepare, then work for as many seconds as each question says, and answer how much was done."""
    known = new_statements(int(count))
    analyse(known, time.perf_counter() + 0.5)
    answer({"statements": len(known)})
    for seconds in questions():
        answer(analyse(known, time.perf_counter() + seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
