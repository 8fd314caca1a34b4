"""What a tier has not been told yet."""

from __future__ import annotations

from tickspan.cache.debts import Debts
from tickspan.cache.entry import EpochCell
from tickspan.cache.tiers import Bump, Bury

WHOLE = EpochCell("bot:@all:fills")


def debts() -> Debts:
    return Debts(WHOLE, lambda version: (f"tomb {version}".encode(), 10_000), lambda: 7)


def test_names_are_buried_in_batches_and_then_paid():
    owed = debts()
    for number in range(501):
        owed.owe(f"bot:fills:{number}", number)
    requests = list(owed.requests())
    buried = [request for request, _ in requests if isinstance(request, Bury)]
    for _, is_paid in requests:
        is_paid()
    assert (
        [(len(request.keys), request.keys[0], request.tombstones[0]) for request in buried],
        bool(owed),
    ) == ([(500, "bot:fills:0", b"tomb 0"), (1, "bot:fills:500", b"tomb 500")], False)


def test_too_many_names_void_the_whole_region():
    owed = debts()
    for number in range(10_002):
        owed.owe(f"bot:fills:{number}")
    assert [request for request, _ in owed.requests()] == [Bump(("bot:@all:fills",), 7)]


def test_what_is_owed_again_while_it_is_paid_stays_owed():
    owed = debts()
    owed.owe("bot:fills:a", 1)
    ((_, is_paid),) = owed.requests()
    owed.owe("bot:fills:a", 2)
    is_paid()
    assert bool(owed)


def test_a_forked_child_owes_nothing():
    owed = debts()
    owed.owe("bot:fills:a")
    owed.after_fork_in_child()
    assert not owed
