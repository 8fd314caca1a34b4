"""Servers: back ends started for one test session, on free loopback ports, gone when it ends."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02
_LOG_TAIL_CHARACTERS = 8_000
_LOWEST_PORT = 20_000
_HIGHEST_PORT = 32_000  # Linux gives ports from 32,768 on to connections that go out
_given: set[int] = set()
_POSTGRESQL_USER = "postgres"
_MARIADB_USER = "nobody"


class ServerError(Exception):
    """A server did not start; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: where it listens.
        log: what it writes.
        pid: of its main process.
    """

    url: str
    log: Path
    pid: int

    def log_tail(self) -> str:
        """The end of its log."""
        return log_tail(self.log)


@dataclass(frozen=True, slots=True)
class DatabaseServer(Server):
    """A running database server, which lets this user in from loopback without a password.

    Attributes:
        host: to connect to.
        port: to connect to.
        user: who may do everything.
        database: that is there from the start, and empty.
    """

    host: str
    port: int
    user: str
    database: str


def free_port() -> int:
    """A loopback port that nobody listens on right now, given out once by this process.

    It is none of those that the system gives to connections that go out: until the server listens, one of
    them could take it.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_HIGHEST_PORT - _LOWEST_PORT)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def log_tail(log: Path) -> str:
    """The end of a log; "" when there is none yet."""
    return log.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:] if log.exists() else ""


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Generator[subprocess.Popen[bytes]]:
    """Run a server as a child process in a session of its own, so that Ctrl-C does not reach it.

    Args:
        command: the program and its arguments; it must stay in the foreground.
        log: gets its stdout and stderr.
        is_ready: asked until it says yes.
        user: whom to run it as; needs root.
        environment: of the server; the process's when not given.
        stop_signal: asks it to end; after some seconds it is killed.

    Raises:
        ServerError: it ended, or was not ready in time.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=log.parent,
            env=None if environment is None else dict(environment),
            user=user,
            group=_group(user),
            extra_groups=() if user else None,
        )
    try:
        _wait_until_ready(server, is_ready, log)
        yield server
    finally:
        _stop(server, stop_signal)


def accepts(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def redis_server(executable: Path) -> Generator[Server]:
    """A Redis server that keeps nothing on disk."""
    with _folder("redis") as folder:
        port = free_port()
        command = [
            executable,
            *("--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        ]
        log = folder / "redis.log"
        with running(command, log=log, is_ready=lambda: _redis_answers(port)) as server:
            yield Server(f"redis://127.0.0.1:{port}/0", log, server.pid)


@contextmanager
def postgresql_server(
    executable: Path, settings: Mapping[str, str] | None = None
) -> Generator[DatabaseServer]:
    """A PostgreSQL server with a fresh cluster; everybody on loopback may do everything in it.

    Args:
        executable: the program `postgres`.
        settings: of the server, by name, besides ours.
    """
    user = _unprivileged_user(_POSTGRESQL_USER)
    with _folder("postgresql", user) as folder:
        data, port = folder / "data", free_port()
        _initialise(
            [
                executable.with_name("initdb"),
                "-D",
                data,
                "-A",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
                "--no-locale",
            ],
            folder,
            user,
        )
        wanted = {"listen_addresses": "127.0.0.1", "fsync": "off", "max_prepared_transactions": "8"}
        command = [executable, "-D", data, "-p", str(port), "-k", folder]
        for name, value in (wanted | dict(settings or {})).items():
            command += ["-c", f"{name}={value}"]
        probe = [executable.with_name("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        log = folder / "postgresql.log"
        with running(
            command,
            log=log,
            is_ready=lambda: subprocess.run(probe, check=False).returncode == 0,
            user=user,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients
        ) as server:
            owner = user or pwd.getpwuid(os.geteuid()).pw_name
            url = f"postgresql://{owner}@127.0.0.1:{port}/postgres"
            yield DatabaseServer(url, log, server.pid, "127.0.0.1", port, owner, "postgres")


@contextmanager
def mariadb_server(executable: Path) -> Generator[DatabaseServer]:
    """A MariaDB server with a fresh data folder and an empty database `test`; `root` needs no password."""
    user = _unprivileged_user(_MARIADB_USER)
    with _folder("mariadb", user) as folder:
        data, port = folder / "data", free_port()
        install = shutil.which("mariadb-install-db") or executable.with_name("mariadb-install-db")
        _initialise(
            [
                install,
                *("--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"),
                "--skip-name-resolve",
            ],
            folder,
            user,
        )
        command = [
            executable,
            *(
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={folder / 'socket'}",
                f"--pid-file={folder / 'pid'}",
            ),
            *("--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"),
            *(
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M",
                "--performance-schema=OFF",
            ),
        ]
        log = folder / "mariadb.log"
        with running(command, log=log, is_ready=lambda: accepts(port), user=user) as server:
            url = f"mysql://root@127.0.0.1:{port}/test"
            yield DatabaseServer(url, log, server.pid, "127.0.0.1", port, "root", "test")


def _wait_until_ready(server: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not is_ready():
        if server.poll() is not None:
            raise ServerError(f"{server.args} ended with status {server.returncode}:\n{log_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"{server.args} is not ready after {_START_TIMEOUT_S:g} s:\n{log_tail(log)}")
        time.sleep(_POLL_S)


def _stop(server: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if server.poll() is None:
        server.send_signal(stop_signal)
    try:
        server.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"
    except OSError:
        return False


def _unprivileged_user(name: str) -> str | None:
    """Database servers refuse to run as root, or should not."""
    return name if os.geteuid() == 0 else None


def _initialise(command: Sequence[str | Path], folder: Path, user: str | None) -> None:
    """Make a server's data folder. Raises `ServerError`."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        user=user,
        group=_group(user),
        extra_groups=() if user else None,
    )
    if done.returncode != 0:
        raise ServerError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


@contextmanager
def _folder(name: str, owner: str | None = None) -> Generator[Path]:
    """A folder outside pytest's, which another user may not enter; short, for the path of a Unix socket."""
    folder = Path(tempfile.mkdtemp(prefix=f"tickspan-{name}-"))
    if owner:
        shutil.chown(folder, owner, _group(owner))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
