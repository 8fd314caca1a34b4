"""Verdict: what a run of a case amounts to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from .case import Rules
from .outside import Facts


@dataclass(frozen=True, slots=True)
class Accounts:
    """The contender's own ledger for one signal."""

    ended: int
    delivered: int
    in_spool: int
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def difference(self) -> int:
        """What the ledger itself cannot explain."""
        return self.ended - self.delivered - self.in_spool - sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was observed in one run.

    Attributes:
        facts: of the outside ledger.
        arrived: how often each record came to the sink.
        others: records that came with them, by signal, and are not the application's.
        counted: the counter's value there.
        changed: spans whose attributes were not as recorded.
        unreadable: requests that were no OTLP.
        status: of the process; None when it had to be killed by the harness.
        exit_s: from the end of its work to its end.
        stderr: what it printed.
        stdout_bytes: likewise; no act prints.
        holds_output: whether something kept its standard output open after it had ended.
        accounts: of a contender that keeps them, by signal; None for others.
        agent_mib: peak memory of the contender's own helper process, 0 without one.
        has_restarted: whether the program had to be started again, since nobody took care of the spool.
        trouble: why the accounts could not be read, or what else went wrong around the run.
    """

    facts: Facts = field(default_factory=Facts)
    arrived: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    others: Mapping[str, int] = field(default_factory=dict[str, int])
    counted: int = 0
    changed: int = 0
    unreadable: int = 0
    status: int | None = 0
    exit_s: float | None = None
    stderr: str = ""
    stdout_bytes: int = 0
    holds_output: bool = False
    accounts: Mapping[str, Accounts] | None = None
    agent_mib: float = 0.0
    has_restarted: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One contender in one case: the cells of its row, and what it failed by."""

    lost: int
    doubled: int
    changed: int
    raised: int
    longest_ms: float
    exit_s: float | None
    grown_mib: float
    stderr_bytes: int
    ledger: str
    failures: tuple[str, ...]
    ended: int
    agent_mib: float = 0.0
    accounts: tuple[str, ...] = ()
    missing: str = ""
    took_s: float = 0.0

    @property
    def has_passed(self) -> bool:
        """Whether no rule was broken."""
        return not self.failures


_PERHAPS_SENT: Final = ("refused", "disk_bound", "expired")
"""Counted as lost although it may have arrived: the answer said no, or came too late."""


def skipped(reason: str) -> Verdict:
    """A case that cannot run here."""
    return Verdict(0, 0, 0, 0, 0.0, None, 0.0, 0, "-", (), 0, missing=reason)


def judge(rules: Rules, seen: Evidence, *, is_ours: bool) -> Verdict:
    """Hold the evidence against the rules."""
    kept = _kept(rules, seen)
    lost = {signal: _lost(seen, signal, kept.get(signal, 0)) for signal in _records(rules)}
    doubled = sum(_doubled(seen, signal) for signal in _records(rules))
    ledger = _ledger(rules, seen) if is_ours and rules.has_ledger else "-"
    total = sum(lost.values())
    failures = (
        *_record_failures(rules, seen, lost, doubled),
        *_manners(rules, seen),
        *(_promises(rules, seen, total, ledger) if is_ours else ()),
    )
    return Verdict(
        lost=total,
        doubled=doubled,
        changed=seen.changed,
        raised=len(seen.facts.raised),
        longest_ms=seen.facts.longest_ms,
        exit_s=seen.exit_s,
        grown_mib=seen.facts.grown_mib,
        stderr_bytes=len(seen.stderr.encode()),
        ledger=ledger,
        failures=failures,
        ended=sum(len(seen.facts.ended.get(signal, ())) for signal in _records(rules)),
        agent_mib=seen.agent_mib,
        accounts=tuple(f"{signal}: {_told(entry)}" for signal, entry in (seen.accounts or {}).items()),
    )


def _records(rules: Rules) -> tuple[str, ...]:
    return tuple(signal for signal in rules.judges if signal != "metrics")


def _kept(rules: Rules, seen: Evidence) -> dict[str, int]:
    if not rules.may_be_kept or not seen.accounts:
        return {}
    return {signal: accounts.in_spool for signal, accounts in seen.accounts.items()}


def _lost(seen: Evidence, signal: str, kept: int) -> int:
    missing = len(seen.facts.ended.get(signal, Counter()).keys() - seen.arrived.get(signal, Counter()).keys())
    return max(0, missing - kept)


def _where(seen: Evidence, signal: str) -> str:
    """Which of them, in the order in which they ended."""
    arrived = seen.arrived.get(signal, Counter[str]())
    ended = seen.facts.ended.get(signal, Counter[str]())
    places = [place for place, identity in enumerate(ended, 1) if identity not in arrived]
    if len(places) == len(ended):
        return "all"
    return f"no. {places[0]}" + (f" to {places[-1]}" if len(places) > 1 else "") + f" of {len(ended)}"


def _doubled(seen: Evidence, signal: str) -> int:
    return sum(times - 1 for times in seen.arrived.get(signal, Counter[str]()).values())


def _record_failures(rules: Rules, seen: Evidence, lost: Mapping[str, int], doubled: int) -> Iterator[str]:
    total = sum(lost.values())
    if total > rules.lost:
        parts = ", ".join(
            f"{count} {signal} ({_where(seen, signal)})" for signal, count in lost.items() if count
        )
        yield f"lost {parts}" + (f", {rules.lost} allowed" if rules.lost else "")
    if doubled > rules.doubled:
        yield f"doubled {doubled}" + (f", {rules.doubled} allowed" if rules.doubled else "")
    if seen.changed:
        yield f"{seen.changed} spans arrived with other attributes"
    if seen.unreadable:
        yield f"{seen.unreadable} requests were no OTLP"
    if not any(seen.facts.ended.values()):
        yield "nothing was recorded"
    if "metrics" in rules.judges and seen.counted != seen.facts.counted and not _is_kept(rules, seen):
        yield f"the counter says {seen.counted}, not {seen.facts.counted}"


def _is_kept(rules: Rules, seen: Evidence) -> bool:
    return bool(_kept(rules, seen).get("metrics"))


def _manners(rules: Rules, seen: Evidence) -> Iterator[str]:
    if seen.facts.raised:
        yield f"raised {len(seen.facts.raised)} times, first {seen.facts.raised[0][:120]}"
    if seen.facts.longest_ms > rules.longest_ms:
        yield f"{seen.facts.longest_call} took {seen.facts.longest_ms:.0f} ms"
    if seen.status is None:
        yield "did not end"
    elif seen.status != rules.status:
        yield f"ended with status {seen.status}, not {rules.status}"
    elif seen.exit_s is not None and seen.exit_s > rules.exit_s:
        yield f"exit took {seen.exit_s:.1f} s"
    if seen.facts.grown_mib > rules.grown_mib:
        yield f"grew by {seen.facts.grown_mib:.0f} MiB"
    if len(seen.stderr.encode()) > rules.stderr_bytes:
        yield f"printed {len(seen.stderr.encode())} bytes: {_first_line(seen.stderr)}"
    if seen.stdout_bytes:
        yield f"wrote {seen.stdout_bytes} bytes to standard output"
    if seen.holds_output:
        yield "keeps the program's standard output open"
    yield from seen.facts.notes


def _promises(rules: Rules, seen: Evidence, lost: int, ledger: str) -> Iterator[str]:
    """What only ours has promised."""
    if rules.is_silent and seen.stderr and len(seen.stderr.encode()) <= rules.stderr_bytes:
        yield f"had something to say: {_first_line(seen.stderr)}"
    if ledger not in ("exact", "-"):
        yield f"ledger: {ledger}"
    if seen.accounts and lost > (dropped := _dropped(rules, seen)):
        yield f"{lost - dropped} of the lost are counted nowhere"
    if seen.agent_mib > rules.agent_mib:
        yield f"the agent needed {seen.agent_mib:.0f} MiB"
    if seen.has_restarted and not rules.may_wait:
        yield "nobody delivered until the next start"
    if seen.trouble:
        yield seen.trouble


def _dropped(rules: Rules, seen: Evidence) -> int:
    accounts = seen.accounts or {}
    return sum(sum(accounts[signal].dropped.values()) for signal in _records(rules) if signal in accounts)


def _ledger(rules: Rules, seen: Evidence) -> str:
    if seen.accounts is None:
        return "none"
    problems = (_inexact(seen, signal, seen.accounts.get(signal)) for signal in _records(rules))
    return "; ".join(filter(None, problems)) or "exact"


def _inexact(seen: Evidence, signal: str, accounts: Accounts | None) -> str:
    """How the contender's accounts differ from what is known outside; empty when they do not.

    What the contender says on its own behalf (a loss, a death) is in its accounts, too, and arrives without a
    record of the application behind it.
    """
    certain, possible = seen.facts.ended.get(signal, Counter()), seen.facts.possible.get(signal, set())
    arrived = len(seen.arrived.get(signal, ())) + seen.others.get(signal, 0)
    if accounts is None:
        return f"nothing about {signal}" if certain else ""
    if accounts.difference:
        return f"{signal} do not add up by {accounts.difference}: {_told(accounts)}"
    own = seen.others.get(signal, 0) + (accounts.in_spool if signal == "logs" else 0)
    if not len(certain) <= accounts.ended <= len(certain) + len(possible) + own:
        return f"{signal}: {accounts.ended} ended, {len(certain)} in truth"
    sent = sum(accounts.dropped.get(reason, 0) for reason in _PERHAPS_SENT)
    at_most = accounts.delivered + accounts.in_spool + sent
    if not accounts.delivered <= arrived <= at_most:
        return f"{signal}: {accounts.delivered} delivered, {arrived} arrived: {_told(accounts)}"
    return ""


def _told(accounts: Accounts) -> str:
    dropped = ", ".join(f"{reason} {count}" for reason, count in accounts.dropped.items() if count)
    waiting = f"in spool {accounts.in_spool}, {dropped or 'no drops'}"
    return f"ended {accounts.ended}, delivered {accounts.delivered}, {waiting}"


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")[:160]
