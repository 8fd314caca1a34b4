"""Ours: the spool of a run, seen from outside: its accounts, its helper process, its files."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .case import Damage
from .verdict import Accounts

_STATUS_TIMEOUT_S: Final = 10.0
_COMMAND: Final = "import sys; from tickspan.cli import main; sys.exit(main(sys.argv[1:]))"
_STOP_TIMEOUT_S: Final = 3.0


class StatusError(Exception):
    """The status could not be had; the message says why."""


def accounts(environment: Mapping[str, str]) -> dict[str, Accounts]:
    """The ledger of all processes of the environment's spool, by signal. Raises StatusError."""
    answer = _status(environment)
    try:
        return {name: _accounts(entry) for name, entry in answer["signals"].items()}
    except (KeyError, TypeError):
        raise StatusError(f"no ledger in the status: {json.dumps(answer)[:200]}") from None


def _status(environment: Mapping[str, str]) -> Any:
    command = [sys.executable, "-c", _COMMAND, "agent", "status", "--json"]
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_STATUS_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StatusError(f"the status took more than {_STATUS_TIMEOUT_S:.0f} s") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise StatusError(f"no status: {told[-1][:200] if told else done.returncode}") from None


def _accounts(entry: Mapping[str, Any]) -> Accounts:
    dropped = entry.get("dropped") or {}
    return Accounts(int(entry["ended"]), int(entry["delivered"]), int(entry["in_spool"]), dict(dropped))


def helpers(spool: Path) -> list[int]:
    """Processes that work for this spool: it is named in their arguments or environment."""
    return [pid for pid in _pids() if pid != os.getpid() and _mentions(pid, str(spool).encode())]


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _mentions(pid: int, text: bytes) -> bool:
    return any(text in _read(pid, name) for name in ("cmdline", "environ"))


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def command_of(pid: int) -> bytes:
    """Its arguments, empty when it is gone."""
    return _read(pid, "cmdline")


def peak_mib(pid: int) -> float:
    """Peak resident memory of a process, its own pages, 0 when it is gone."""
    for line in _read(pid, "status").splitlines():
        if line.startswith(b"VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def end(pids: list[int]) -> None:
    """End these processes, kindly first."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline and any(is_alive(pid) for pid in pids):
        time.sleep(0.02)
    for pid in filter(is_alive, pids):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether the process runs still; a zombie does not."""
    state = _read(pid, "stat").rpartition(b")")[2].split()
    return bool(state) and state[0] != b"Z"


def damage(spool: Path, kind: Damage, draws: random.Random) -> int:
    """Do that to the spool's files of processes that are dead; how many files it befell."""
    segments = sorted(spool.glob("v*/*/*.seg"))
    acks = sorted(spool.glob("v*/*/*.ack"))
    descriptions = sorted(spool.glob("v*/*/process.json"))
    chosen = {
        Damage.ACKS_LOST: acks,
        Damage.ACKS_NOISE: acks,
        Damage.DESCRIPTION_LOST: descriptions,
    }.get(kind, segments)
    for path in chosen:
        _DAMAGES[kind](path, draws)
    return len(chosen)


def _truncate(path: Path, draws: random.Random) -> None:
    os.truncate(path, draws.randrange(64, 4096))


def _flip(path: Path, draws: random.Random) -> None:
    """One bit, somewhere in the first records."""
    with path.open("r+b") as file:
        place = draws.randrange(64, 2048)
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << draws.randrange(8)]))


def _noise_behind(path: Path, draws: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(-2048, os.SEEK_END)
        file.write(draws.randbytes(2048))


def _foreign_files(path: Path, draws: random.Random) -> None:
    folder = path.parent
    (folder / "notes.txt").write_bytes(draws.randbytes(100))
    (folder / "99999999.seg").write_bytes(draws.randbytes(5000))
    (folder / "00000002.seg.new").write_bytes(b"")
    (folder.parent / "not a process").mkdir(exist_ok=True)
    (folder.parent / "1-2-deadbeef").mkdir(exist_ok=True)
    (folder.parent / "1-2-deadbeef" / "traces-0.ack").write_bytes(draws.randbytes(1024))
    (folder.parent / "totals.json").write_bytes(b"{") if not (
        folder.parent / "totals.json"
    ).exists() else None


def _future(path: Path, draws: random.Random) -> None:
    """Files of a version that is not known yet stay untouched beside the known ones."""
    future = path.parents[2] / "v9" / "1-2-deadbeef"
    future.mkdir(parents=True, exist_ok=True)
    (future / "00000001.seg").write_bytes(draws.randbytes(5000))


def _empty(path: Path, _draws: random.Random) -> None:
    path.write_bytes(b"")


def _remove(path: Path, _draws: random.Random) -> None:
    path.unlink()


def _noise(path: Path, draws: random.Random) -> None:
    path.write_bytes(draws.randbytes(1024))


_DAMAGES: Final = {
    Damage.TRUNCATED: _truncate,
    Damage.FLIPPED: _flip,
    Damage.EMPTIED: _empty,
    Damage.ACKS_LOST: _remove,
    Damage.ACKS_NOISE: _noise,
    Damage.DESCRIPTION_LOST: _remove,
    Damage.NOISE_BEHIND: _noise_behind,
    Damage.FOREIGN_FILES: _foreign_files,
    Damage.FUTURE_VERSION: _future,
}
