"""The queue and the pings of a connection, as the library uses them."""

from __future__ import annotations

from collections import deque

from tickspan_alpaca.arrivals import Arrivals, Pings


class Clock:
    """Counts the looks at it."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 1
        return self.now_ns


def test_each_message_keeps_the_moment_it_came() -> None:
    queue = Arrivals(deque(), Clock())
    for message in ("one", "three"):
        queue.append(message)
    taken = [(queue.popleft(), queue.taken_ns, queue.taken_bytes) for _ in range(2)]
    assert taken == [("one", 1, 3), ("three", 2, 5)]
    assert (len(queue), queue) == (0, deque())


def test_what_waited_before_came_now() -> None:
    queue = Arrivals(deque([b"old"]), Clock())
    queue.append(b"new")
    assert [(queue.popleft(), queue.taken_ns) for _ in range(2)] == [(b"old", 1), (b"new", 2)]


def test_a_message_that_was_put_there_in_another_way_has_no_moment() -> None:
    queue = Arrivals(deque(), Clock())
    queue.extend(["unseen"])
    assert (queue.popleft(), queue.taken_ns) == ("unseen", None)


def test_an_answered_ping_is_a_sign_of_life_and_gone() -> None:
    signs: list[int] = []
    pings = Pings({b"first": 1}, lambda: signs.append(1))
    pings[b"second"] = 2
    del pings[b"second"]
    assert (pings, signs) == ({b"first": 1}, [1])
