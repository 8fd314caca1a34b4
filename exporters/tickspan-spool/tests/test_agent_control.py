"""The control socket: who may ask, what a bad peer costs, and paths of any length."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.liaison import ControlSocket, Peer, ask
from tickspan_spool.liaison import control as control_module


class _Agent:
    """Serves in a thread until it is stopped; keeps what it was asked."""

    def __init__(self, path: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.peers: list[Peer] = []
        self.control = ControlSocket(path, self._answer)
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._is_stopped.set()
        self._thread.join()
        self.control.close()

    def _serve(self) -> None:
        while not self._is_stopped.wait(0.002):
            self.control.serve_one()

    def _answer(self, request: Any, peer: Peer) -> dict[str, Any]:
        self.asked.append(request)
        self.peers.append(peer)
        return {"ok": True, "seen": len(self.asked)}


@pytest.fixture(params=["agent", "a-very-long-name-" * 8], ids=["short", "beyond 108 bytes"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / request.param
    folder.mkdir()
    return folder / "0123456789ab.socket"


@pytest.fixture
def agent(path: Path) -> Iterator[_Agent]:
    agent = _Agent(path)
    yield agent
    agent.stop()


def test_a_request_is_answered(agent: _Agent, path: Path):
    assert [ask(path, {"command": "status"}), ask(path, {})] == [
        {"ok": True, "seen": 1},
        {"ok": True, "seen": 2},
    ]
    assert agent.asked == [{"command": "status"}, {}]


def test_the_kernel_says_who_asks(agent: _Agent, path: Path):
    ask(path, {})
    assert agent.peers == [Peer(os.getpid(), os.geteuid())]


def test_the_socket_is_for_its_owner_alone(agent: _Agent, path: Path):
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_peer_of_another_user_gets_nothing(agent: _Agent, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(control_module, "_peer", _stranger)
    assert (ask(path, {"command": "stop"}), agent.asked) == (None, [])


def _stranger(_connection: socket.socket) -> Peer:
    return Peer(1, 4711)


@pytest.mark.parametrize("line", [b"\n", b"[1]\n", b"{\n", b"[" * 100_000 + b"\n", b"\xff\xfe\n"])
def test_a_line_that_is_no_request_closes_the_connection(agent: _Agent, path: Path, line: bytes):
    with socket.socket(socket.AF_UNIX) as connection, control_module._short(path) as address:
        connection.connect(address)
        connection.sendall(line)
        assert connection.recv(100) == b""
    assert ask(path, {}) == {"ok": True, "seen": 1}


def test_a_silent_peer_holds_the_others_up_for_a_bounded_time(
    agent: _Agent, path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control_module, "_SERVING_S", 0.1)
    with socket.socket(socket.AF_UNIX) as silent, control_module._short(path) as address:
        silent.connect(address)
        assert ask(path, {}, timeout_s=5) == {"ok": True, "seen": 1}


def test_nobody_answers_where_nobody_listens(path: Path):
    assert ask(path, {"command": "status"}) is None


def test_a_socket_left_by_a_killed_agent_is_replaced(agent: _Agent, path: Path):
    agent.stop()
    path.touch()
    again = _Agent(path)
    answer = ask(path, {})
    again.stop()
    assert answer == {"ok": True, "seen": 1}
