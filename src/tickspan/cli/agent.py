"""`tickspan agent`: the background process that delivers telemetry, and what waits in its spool."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan_spool.agent import AgentState, AgentStatus, DestinationStatus, ProcessStatus
    from tickspan_spool.sender import LetterHead

MAX_TIMEOUT_S: Final = 86_400.0


class AgentCommand:
    """Exit status 0 when it was done, 1 when it was not in time or is not there, 2 for wrong usage."""

    name = "agent"
    summary = "run, ask, drain or stop the agent that delivers telemetry"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        _add(actions, "run", "serve in the foreground until stopped, such as under systemd", run_agent)
        _add(actions, "status", "tell what waits, what was delivered, and what hinders", show_status)
        drain = _add(actions, "drain", "wait until nothing waits any more", drain_spool)
        stop = _add(actions, "stop", "end the agent; what waits stays in the spool", stop_agent)
        for action in (drain, stop):
            action.add_argument(
                "--timeout", type=_timeout, default=30.0, metavar="S", help="seconds to wait (30)"
            )
        dead = actions.add_parser(
            "dead", help="requests that a destination refused for good", allow_abbrev=False
        )
        letters = dead.add_subparsers(dest="letters", metavar="ACTION", required=True)
        _add(letters, "list", "one line for each", list_dead)
        _add(letters, "show", "one with its records", show_dead).add_argument(
            "id", metavar="ID", help="as list names it"
        )
        redrive = _add(letters, "redrive", "send again, as new records", redrive_dead)
        redrive.add_argument("id", metavar="ID|all", help="one of them, or all")

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        return options.act(options)


def _add(actions: Any, name: str, summary: str, act: Callable[[argparse.Namespace], int]) -> Any:
    parser = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )
    parser.add_argument("--json", action="store_true", help="the answer as data")
    parser.set_defaults(act=act)
    return parser


def run_agent(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    from tickspan_spool import agent

    try:
        status = agent.run(_directory(options))
    except OSError as error:
        raise CommandError(f"{error.filename or _directory(options)}: {error.strerror}", 1) from None
    if status == agent.ANOTHER_RUNS:
        raise CommandError("another agent of this environment runs; see 'tickspan agent status'", 1)
    return status


def show_status(options: argparse.Namespace) -> int:
    """Print the state of the spool; exit status 1 when something waits and no agent lives."""
    from tickspan_spool import agent

    found = agent.status(_directory(options))
    if options.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print("\n".join(status_lines(found)))
    return 1 if found.in_spool and not found.agents else 0


def drain_spool(options: argparse.Namespace) -> int:
    """Wait until nothing waits; exit status 1 when it takes longer than `--timeout`."""
    from tickspan_spool import agent

    is_empty = agent.drain(_directory(options), options.timeout)
    left = agent.status(_directory(options)).in_spool
    if options.json:
        print(json.dumps({"is_drained": is_empty, "in_spool": left}))
    else:
        print("nothing waits" if is_empty else f"{left} records still wait; see 'tickspan agent status'")
    return 0 if is_empty else 1


def stop_agent(options: argparse.Namespace) -> int:
    """End the agent; exit status 1 when it has not ended in time."""
    from tickspan_spool import agent

    is_ended = agent.stop(_directory(options), options.timeout)
    if options.json:
        print(json.dumps({"is_stopped": is_ended}))
    else:
        print("no agent runs" if is_ended else "the agent still runs; see 'tickspan agent status'")
    return 0 if is_ended else 1


def list_dead(options: argparse.Namespace) -> int:
    """Print the dead letters, oldest first."""
    from tickspan_spool import agent

    heads = agent.letters(_directory(options))
    if options.json:
        print(json.dumps([_head(head) for head in heads], indent=2))
    else:
        print("\n".join(_letter_line(head) for head in heads) or "no dead letters")
    return 0


def show_dead(options: argparse.Namespace) -> int:
    """Print a dead letter with its records."""
    from tickspan_spool import agent

    letter = agent.letter(_directory(options), _identifier(options.id))
    if letter is None:
        raise CommandError(f"no dead letter '{options.id}'; see 'tickspan agent dead list'", 1)
    from google.protobuf.json_format import MessageToDict
    from tickspan_spool.taps import decoded  # protobuf: nothing else of this command needs it

    message = decoded(letter.head.signal, letter.request)
    if options.json:
        print(json.dumps({**_head(letter.head), "request": MessageToDict(message)}, indent=2))
    else:
        print(f"{_letter_line(letter.head)}\n\n{message}")
    return 0


def redrive_dead(options: argparse.Namespace) -> int:
    """Have the agent send dead letters again; exit status 1 when one could not be."""
    from tickspan_spool import agent

    wanted = None if options.id == "all" else _identifier(options.id)
    answer = agent.redrive(_directory(options), wanted)
    if answer is None:
        raise CommandError("no agent answers; start one with 'tickspan agent run'", 1)
    if options.json:
        print(json.dumps(asdict(answer)))
    else:
        print(f"{answer.redriven} dead letters are on their way")
        for name, why in answer.kept.items():
            print(f"kept: {name}: {why}")
    return 1 if answer.kept or (wanted and not answer.redriven) else 0


def status_lines(found: AgentStatus) -> list[str]:
    """The state of a spool for people."""
    return [
        f"spool {found.directory}: {_size(found.size_bytes)}, {found.dead_letters} dead letters",
        *(_agent_line(state) for state in found.agents),
        *(["no agent runs"] if not found.agents else []),
        *_table(found),
        *(line for state in found.agents or found.last_agents for line in _agent_lines(state)),
        *(_process_line(process) for process in found.processes),
    ]


def _table(found: AgentStatus) -> list[str]:
    lines = [f"{'':8}{'ended':>12}{'delivered':>12}{'in spool':>12}{'dropped':>12}"]
    for signal, count in found.signals.items():
        dropped = sum(count.dropped.values())
        numbers = (count.ended, count.delivered, count.in_spool, dropped)
        why = _reasons(count.dropped)
        lines.append(
            f"{signal:8}" + "".join(f"{number:12}" for number in numbers) + (f"  {why}" if why else "")
        )
    if found.oldest_age_s:
        lines.append(f"the oldest has waited for {_age(found.oldest_age_s)}")
    return lines


def _agent_line(state: AgentState) -> str:
    since = datetime.fromtimestamp(state.started_unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"agent {state.pid}: {state.phase} since {since}, {_size(state.rss_bytes)}, version {state.version}"
    )


def _agent_lines(state: AgentState) -> Iterable[str]:
    yield from (_destination_line(destination) for destination in state.destinations)
    for tap in state.taps:
        fate = tap.disabled or f"{tap.batches} batches, {tap.skipped} skipped, {tap.cpu_s:.2f} s"
        yield f"tap {tap.name}: {fate}"
    if state.last_trouble:
        yield f"agent {state.pid} said last: {state.last_trouble}"


def _destination_line(destination: DestinationStatus) -> str:
    words = [f"{destination.signal} to {destination.url}"]
    if destination.breaker != "closed":
        words.append(f"breaker {destination.breaker}")
    if destination.trouble:
        words.append(destination.trouble)
    elif destination.last_trouble:
        words.append(f"well again after: {destination.last_trouble}")
    else:
        words.append("well")
    return ": ".join([words[0], ", ".join(words[1:])])


def _process_line(process: ProcessStatus) -> str:
    kind = "agent" if process.is_agent else "process"
    waiting = sum(count.in_spool for count in process.signals.values())
    state = "alive" if process.is_alive else "gone"
    return f"{kind} {process.pid} ({process.service_name or 'no service name'}): {state}, {waiting} wait"


def _letter_line(head: LetterHead) -> str:
    return f"{head.path.stem}: {head.items} {head.signal} for {head.place}: {head.reason}"


def _head(head: LetterHead) -> dict[str, Any]:
    return {**asdict(head), "path": str(head.path), "id": head.path.stem}


def _reasons(dropped: Mapping[Any, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in dropped.items())


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MiB"


def _age(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes: below that, seconds say more
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - two hours


def _identifier(text: str) -> str:
    """A letter's name, and nothing that leads out of their folder."""
    return Path(text).name.removesuffix(".letter")


def _directory(options: argparse.Namespace) -> Path:
    from tickspan_spool.spool import SpoolPlan

    return options.directory or SpoolPlan.from_environment(os.environ).directory


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"expected up to {MAX_TIMEOUT_S:g} seconds, got '{text}'")
    return seconds
