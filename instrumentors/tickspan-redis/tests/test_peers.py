"""The other end of a connection, as far as its socket tells."""

from __future__ import annotations

import socket
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tickspan_redis.peers import peer_of


@pytest.fixture
def listener() -> Generator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_tcp_connection_tells_address_and_port(listener: socket.socket):
    host, port = listener.getsockname()
    with socket.create_connection((host, port)) as connection:
        told = peer_of(SimpleNamespace(_sock=connection))
    assert told == {"network.peer.address": "127.0.0.1", "network.peer.port": port}


def test_a_unix_socket_tells_its_path(tmp_path: Path):
    path = str(tmp_path / "redis.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as connection:
        server.bind(path)
        server.listen()
        connection.connect(path)
        assert peer_of(SimpleNamespace(_sock=connection)) == {"network.peer.address": path}


def test_an_asynchronous_connection_is_asked_for_its_peer_without_a_system_call():
    writer = SimpleNamespace(get_extra_info={"peername": ("::1", 6379, 0, 0)}.get)
    expected = {"network.peer.address": "::1", "network.peer.port": 6379}
    assert peer_of(SimpleNamespace(_writer=writer)) == expected


@pytest.mark.parametrize(
    "connection",
    [
        SimpleNamespace(),
        SimpleNamespace(_sock=None),
        SimpleNamespace(_sock=object()),
        SimpleNamespace(_writer=object()),
        SimpleNamespace(_writer=SimpleNamespace(get_extra_info={}.get)),
    ],
)
def test_what_is_not_connected_tells_nothing(connection: Any):
    assert peer_of(connection) == {}


def test_a_socket_that_has_lost_its_peer_tells_nothing():
    with socket.socket() as unconnected:
        assert peer_of(SimpleNamespace(_sock=unconnected)) == {}
