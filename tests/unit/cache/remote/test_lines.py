"""Lines of blocking callers: what comes back over one, and which one the next caller gets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator

import pytest

from tickspan.cache.remote.libraries import errors
from tickspan.cache.remote.lines import Line, Lines
from tickspan.cache.remote.replies import NoConnectionFreeError

PING = b"*1\r\n$4\r\nPING\r\n"


class Connection:
    """As redis-py has one, with both ends here."""

    def __init__(self, said: bytes) -> None:
        self._sock, self.server = socket.socketpair()
        self._sock.settimeout(0.05)
        self.server.sendall(said)
        self.is_open = True

    def disconnect(self) -> None:
        self.is_open = False
        self._sock.close()


Connect = Callable[..., Connection]


@pytest.fixture
def made() -> Generator[list[Connection]]:
    """Every connection that a test makes."""
    made: list[Connection] = []
    yield made
    for connection in made:
        connection.disconnect()
        connection.server.close()


@pytest.fixture
def connect(made: list[Connection]) -> Connect:
    def connect(said: bytes = b"+PONG\r\n") -> Connection:
        made.append(Connection(said))
        return made[-1]

    return connect


def openness(made: list[Connection]) -> list[bool]:
    return [connection.is_open for connection in made]


def test_replies_come_in_order_with_the_errors_of_commands_in_their_places(connect: Connect) -> None:
    line = Line(connect(b"$2\r\nab\r\n-WRONGTYPE no\r\n>2\r\n+told\r\n:1\r\n*2\r\n_\r\n:7\r\n"))
    ab, error, pair = line.ask(PING, 3)
    assert (ab, type(error), str(error), pair) == (b"ab", errors.ResponseError, "WRONGTYPE no", [None, 7])


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"-LOADING the dataset\r\n", errors.BusyLoadingError),
        (b"-NOAUTH who\r\n", errors.AuthenticationError),
        (b"$2\r\na", errors.TimeoutError),
        (b"?what\r\n", errors.InvalidResponse),
    ],
)
def test_what_speaks_of_the_server_is_raised_and_its_line_closed(
    connect: Connect, made: list[Connection], said: bytes, kind: type[Exception]
) -> None:
    lines = Lines(lambda: connect(said), 1)
    kinds = set[type[BaseException]]()
    for _ in range(2):
        with pytest.raises(kind) as raised:
            lines.ask(PING, 1)
        kinds.add(raised.type)
    assert (kinds, openness(made)) == ({kind}, [False, False])


def test_a_server_that_has_gone_is_a_broken_connection(connect: Connect, made: list[Connection]) -> None:
    line = Line(connect(b"+one\r\n"))
    made[0].server.close()
    with pytest.raises(errors.ConnectionError):
        line.ask(PING, 2)


def test_the_line_that_was_used_last_is_used_next(connect: Connect, made: list[Connection]) -> None:
    lines = Lines(connect, 2)
    first, second = lines.take(), lines.take()
    lines.give_back(first)
    lines.give_back(second)
    made[1]._sock.recv(100)  # the reply that nobody has asked for
    assert (lines.take() is second, len(made), repr(lines)) == (True, 2, "<Lines 1 idle, 2/2 made>")


def test_a_line_on_which_something_has_come_unasked_is_replaced(
    connect: Connect, made: list[Connection]
) -> None:
    lines = Lines(connect, 1)
    before = lines.ask(PING, 1)
    made[0].server.close()
    assert (before, lines.ask(PING, 1), openness(made)) == ([b"PONG"], [b"PONG"], [False, True])


def test_no_more_lines_are_made_than_may_be(connect: Connect, made: list[Connection]) -> None:
    lines = Lines(connect, 1)
    taken = lines.take()
    with pytest.raises(NoConnectionFreeError):
        lines.ask(PING, 1)
    lines.drop(taken)
    assert (lines.ask(PING, 1), openness(made)) == ([b"PONG"], [False, True])


def test_a_connection_that_could_not_be_made_leaves_room_for_another(connect: Connect) -> None:
    attempts = [errors.ConnectionError("refused"), None]

    def connect_at_last() -> Connection:
        problem = attempts.pop(0)
        if problem is not None:
            raise problem
        return connect()

    lines = Lines(connect_at_last, 1)
    with pytest.raises(errors.ConnectionError, match="refused"):
        lines.ask(PING, 1)
    assert lines.ask(PING, 1) == [b"PONG"]


def test_after_a_primary_has_become_a_replica_no_line_to_it_is_used(
    connect: Connect, made: list[Connection]
) -> None:
    said = [b"", b"", b"-READONLY replica\r\n", b"+PONG\r\n"]
    lines = Lines(lambda: connect(said.pop(0)), 4)
    used, idle = lines.take(), lines.take()
    lines.give_back(idle)
    third = lines.take()
    (error,) = lines.ask(PING, 1)
    lines.give_back(used)
    lines.give_back(third)
    assert (type(error), lines.ask(PING, 1), openness(made)) == (
        errors.ReadOnlyError,
        [b"PONG"],
        [False, False, False, True],
    )


def test_closing_takes_the_idle_lines_now_and_the_others_when_they_are_given_back(
    connect: Connect, made: list[Connection]
) -> None:
    lines = Lines(connect, 2)
    used = lines.take()
    lines.ask(PING, 1)
    lines.close()
    before = openness(made)
    lines.give_back(used)
    assert (before, openness(made)) == ([True, False], [False, False])


def test_a_forked_child_has_lines_of_its_own(connect: Connect, made: list[Connection]) -> None:
    lines = Lines(connect, 1)
    lines.ask(PING, 1)
    lines.after_fork_in_child()
    assert (lines.ask(PING, 1), openness(made)) == ([b"PONG"], [True, True])
