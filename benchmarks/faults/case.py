"""Case: one fault, what the workload does meanwhile, and by which rule it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .network.answers import Script
from .network.schedule import Schedule

BATCH = 512
"""Records that one lost answer may double."""


class Endpoint(StrEnum):
    """Where the workload is told to send."""

    PROXY = "proxy"
    TLS = "tls"
    UNKNOWN_HOST = "unknown host"
    NOT_HTTP = "not http"
    GRPC = "grpc"


class Disk(StrEnum):
    """The state of the spool's directory when the workload starts."""

    PLAIN = "plain"
    SMALL = "small"
    """A tmpfs of a few MiB."""
    FULL = "full"
    """A tmpfs without a free page."""
    READ_ONLY = "read-only"
    FILE_IN_PLACE = "file in place"
    """Where the directory should be, there is a file."""
    GARBAGE = "garbage"
    """Full of noise under the names of the spool's own files."""
    FOREIGN = "foreign"
    """Belongs to another user."""
    WRITABLE_BY_ALL = "writable by all"
    SYMLINK = "symlink"
    """Leads into a directory of another user."""
    NO_INODES = "no inodes"
    """Space, but no file can be made."""


class Damage(StrEnum):
    """What befalls the files that a killed process has left, before the next one starts."""

    NONE = ""
    TRUNCATED = "truncated"
    FLIPPED = "flipped"
    EMPTIED = "emptied"
    ACKS_LOST = "acks lost"
    ACKS_NOISE = "acks noise"
    DESCRIPTION_LOST = "description lost"
    NOISE_BEHIND = "noise behind"
    FOREIGN_FILES = "foreign files"
    FUTURE_VERSION = "future version"


class Outrage(StrEnum):
    """What the harness does to the workload, or to what it has started."""

    NONE = ""
    KILL = "kill"
    """SIGKILL at a random moment, from the seed."""
    TERMINATE = "terminate"
    KILL_AGENT = "kill agent"
    """SIGKILL to the agent, again and again at random moments."""
    STOP_AGENT = "stop agent"
    """SIGSTOP to the agent for a second."""
    EACH_STEP = "each step"
    """The process dies at its first call that touches files, then at its second, and so on."""
    REMOVE_SPOOL = "remove spool"
    """`rm -r` of the spool under the living process."""
    FILL_DISK = "fill disk"
    """Its disk fills while it works, and is freed later."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What passes.

    Attributes:
        lost: ended records that may be missing in the end, if they are counted.
        doubled: records that may arrive more than once.
        longest_ms: for any call of telemetry.
        exit_s: from the end of the program's own work to the end of the process.
        grown_mib: of the application's memory.
        agent_mib: peak memory of a helper process of ours.
        stderr_bytes: that may be printed, the application's own traceback included.
        status: of the process.
        judges: signals that count.
        may_be_kept: what is still in the spool at the end counts as safe, since the network never heals.
        may_wait: what a dead process has left may wait for the next start.
        is_silent: ours has nothing to say.
        has_ledger: ours must account for each record.
    """

    lost: int = 0
    doubled: int = 0
    longest_ms: float = 300.0
    exit_s: float = 2.5
    grown_mib: float = 48.0
    agent_mib: float = 64.0
    stderr_bytes: int = 2048
    status: int = 0
    judges: tuple[str, ...] = ("traces", "logs", "metrics")
    may_be_kept: bool = False
    may_wait: bool = False
    is_silent: bool = True
    has_ledger: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        name: unique; how `--case` finds it.
        family: how `--family` does.
        act: what the workload does, see `acts`.
        settings: of the act.
        link: the network's schedule.
        script: the server's answers.
        endpoint: where the workload sends.
        certificate: which one a TLS server shows in the first 1.5 s; then a good one.
        disk: the spool's directory before the start.
        damage: to what a killed process left.
        outrage: what the harness does meanwhile.
        environment: of the workload, for all contenders.
        restarts: whether the program is started again after its end and after the network has healed.
        patience_s: for what outlives the process to arrive, once all is well.
        needs: what this machine must offer: "root", or the name of a module.
        rules: of the verdict.
        is_quick: part of `--quick`.
        is_full: one of many alike: runs with `--full` only.
        only: contenders that this case is about; empty: all.
        why: one line for whoever reads the table.
    """

    name: str
    family: str
    act: str = "steady"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    link: Schedule = field(default_factory=Schedule)
    script: Script = field(default_factory=Script)
    endpoint: Endpoint = Endpoint.PROXY
    certificate: str = ""
    disk: Disk = Disk.PLAIN
    damage: Damage = Damage.NONE
    outrage: Outrage = Outrage.NONE
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    restarts: bool = False
    patience_s: float = 8.0
    needs: tuple[str, ...] = ()
    rules: Rules = Rules()
    is_quick: bool = False
    is_full: bool = False
    only: tuple[str, ...] = ()
    why: str = ""
