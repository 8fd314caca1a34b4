"""Ports: the one that was asked for, or the next that is free."""

import errno
import socket

import pytest
from tickspan_desk.listening import PortTakenError, loopback, on_a_port


def test_every_loopback_address_is_listened_on_at_one_port():
    sockets = loopback(0)
    names = [sock.getsockname()[:2] for sock in sockets]
    for sock in sockets:
        sock.close()
    port = names[0][1]
    assert set(names) <= {("127.0.0.1", port), ("::1", port)}
    assert names[0] == ("127.0.0.1", port)


def test_a_port_that_is_taken_gives_the_next_unless_it_was_asked_for():
    def make(port: int) -> int:
        if port in {8321, 8322}:
            raise OSError(errno.EADDRINUSE, "taken")
        return port

    with pytest.raises(PortTakenError):
        on_a_port(make, 8322, 8321)
    assert (on_a_port(make, None, 8321), on_a_port(make, 9000, 8321)) == (8323, 9000)


def test_a_port_that_somebody_has_on_one_address_is_taken_on_all():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTakenError):
        on_a_port(loopback, taken.getsockname()[1], 0)


def test_an_address_that_is_not_ours_is_an_error():
    with pytest.raises(OSError, match="assign"):
        on_a_port(lambda port: loopback(port, ["192.0.2.77"]), None, 0)
