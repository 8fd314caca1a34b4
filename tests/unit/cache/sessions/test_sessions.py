"""Sessions by a fake clock, in memory and in a file, by both kinds of callers."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tickspan.cache.sessions import Session, SessionConflict, SessionStore, SessionStoreUnavailable
from tickspan.cache.sessions.keepers import FileKeeper, MemoryKeeper
from tickspan.cache.sessions.record import MAX_DATA_BYTES
from tickspan.cache.sessions.requests import Insert, Keeper, Note
from tickspan.cache.sessions.tokens import digest_of, hidden

HOUR_MS = 3_600_000
CACHE: Any = SimpleNamespace(namespace="bot", tiers=())


@dataclass
class Time:
    now: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@dataclass
class Tokens:
    """Tokens that are told apart by a number."""

    numbers: Any = field(default_factory=count)

    def __call__(self) -> str:
        return f"{next(self.numbers):043d}"


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture(params=["memory", "file"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path, clock: Time) -> Generator[Keeper]:
    kept: Keeper = (
        MemoryKeeper(clock) if request.param == "memory" else FileKeeper(tmp_path / "s" / "s.db", clock)
    )
    yield kept
    kept.close()


Make = Callable[..., Any]


@pytest.fixture
def make(keeper: Keeper, clock: Time) -> Make:
    """Stores on one keeper."""

    def store(**options: Any) -> Any:
        return SessionStore(
            CACHE, keeper=keeper, now_ms=clock, token=options.pop("token", Tokens()), **options
        )

    return store


@pytest.fixture
def sessions(make: Make) -> Any:
    """A blocking store with its defaults."""
    return make().sync


def told(sessions: list[Session]) -> list[tuple[str, Any, int]]:
    return [(session.user_id, session.data, session.version) for session in sessions]


def test_a_session_comes_back_as_it_was_created(sessions: Any, clock: Time) -> None:
    data = {"role": "trader", "desks": ["fx", "rates"], "limit": 1.5, "at": datetime(2026, 1, 2, tzinfo=UTC)}
    token, created = sessions.create("alice", data)
    found = sessions.get(token)
    assert (found.user_id, found.data, found.version, found.is_replaced) == ("alice", data, 1, False)
    assert found.created_at == created.created_at == datetime.fromtimestamp(clock.now / 1000, UTC)
    assert (found.expires_at - found.created_at).total_seconds() == 86_400


def test_an_asynchronous_store_does_the_same(make: Make) -> None:
    async def main() -> list[Any]:
        store = make()
        token, session = await store.create("alice", {"step": 1})
        session.data["step"] = 2
        await store.save(session)
        renewed, _ = await store.rotate(token)
        found = await store.get(renewed)
        listed = told(await store.list_user("alice"))
        return [
            found.data,
            listed,
            await store.revoke(renewed),
            await store.get(token),
            await store.revoke_user("alice"),
        ]

    assert asyncio.run(main()) == [{"step": 2}, [("alice", {"step": 2}, 3)], True, None, 0]


def test_a_session_that_nobody_uses_ends(sessions: Any, clock: Time) -> None:
    token, _ = sessions.create("alice", {})
    clock.passes(3_599.9)
    assert sessions.get(token) is not None
    clock.passes(3_600)
    assert sessions.get(token) is None


def test_a_session_in_use_ends_at_its_absolute_time(sessions: Any, clock: Time) -> None:
    token, _ = sessions.create("alice", {})
    for _ in range(47):
        clock.passes(1_800)
        assert sessions.get(token) is not None
    clock.passes(1_800)
    assert sessions.get(token) is None


def test_idle_time_begins_anew_only_after_a_tenth_of_it(sessions: Any, keeper: Any, clock: Time) -> None:
    writes: list[Any] = []
    perform = keeper.perform

    def noted(request: Any) -> Any:
        writes.append(type(request).__name__)
        return perform(request)

    keeper.perform = noted
    token, _ = sessions.create("alice", {})
    writes.clear()
    clock.passes(359)
    sessions.get(token)
    clock.passes(2)
    sessions.get(token)
    sessions.get(token)
    assert writes == ["Fetch", "Fetch", "Extend", "Fetch"]


def test_of_two_who_save_one_wins(sessions: Any) -> None:
    token, _ = sessions.create("alice", {"n": 0})
    one, other = sessions.get(token), sessions.get(token)
    one.data["n"], other.data["n"] = 1, 2
    sessions.save(one)
    with pytest.raises(SessionConflict):
        sessions.save(other)
    one.data["n"] = 3
    sessions.save(one)
    assert (sessions.get(token).data, one.version) == ({"n": 3}, 3)


@pytest.mark.parametrize("end", ["revoke", "revoke_user", "idle", "absolute"])
def test_a_session_that_has_ended_is_not_brought_back_by_saving(sessions: Any, clock: Time, end: str) -> None:
    token, session = sessions.create("alice", {})
    ends: dict[str, Callable[[], Any]] = {
        "revoke": lambda: sessions.revoke(token),
        "revoke_user": lambda: sessions.revoke_user("alice"),
        "idle": lambda: clock.passes(3_601),
        "absolute": lambda: clock.passes(86_401),
    }
    ends[end]()
    with pytest.raises(SessionConflict):
        sessions.save(session)
    assert (sessions.get(token), sessions.list_user("alice")) == (None, [])


def test_a_rotated_token_reads_what_was_for_five_seconds_and_saves_nothing(
    sessions: Any, clock: Time
) -> None:
    token, before = sessions.create("alice", {"role": "guest"})
    renewed, session = sessions.rotate(token)
    session.data["role"] = "admin"
    sessions.save(session)
    old = sessions.get(token)
    assert (old.data, old.is_replaced, sessions.get(renewed).data) == (
        {"role": "guest"},
        True,
        {"role": "admin"},
    )
    for stale in (old, before):
        with pytest.raises(SessionConflict):
            sessions.save(stale)
    with pytest.raises(SessionConflict):
        sessions.rotate(token)
    clock.passes(5)
    assert (sessions.get(token), sessions.get(renewed).user_id) == (None, "alice")
    assert session.created_at == before.created_at


def test_reading_with_a_rotated_token_does_not_make_it_live_longer(sessions: Any, clock: Time) -> None:
    token, _ = sessions.create("alice", {})
    sessions.rotate(token)
    for _ in range(4):
        clock.passes(1)
        assert sessions.get(token) is not None
    clock.passes(1)
    assert sessions.get(token) is None


def test_a_logout_ends_the_session_under_both_tokens(sessions: Any) -> None:
    old, _ = sessions.create("alice", {})
    new, _ = sessions.rotate(old)
    assert [sessions.revoke(new), sessions.get(old), sessions.get(new)] == [True, None, None]
    old, _ = sessions.create("alice", {})
    new, _ = sessions.rotate(old)
    assert [sessions.revoke(old), sessions.get(old), sessions.get(new)] == [True, None, None]


def test_a_user_is_logged_out_everywhere(sessions: Any) -> None:
    tokens = [sessions.create("alice", {})[0] for _ in range(3)]
    renewed, _ = sessions.rotate(tokens[0])
    other, _ = sessions.create("bob", {})
    assert sessions.revoke_user("alice") == 3
    assert [sessions.get(token) for token in [*tokens, renewed]] == [None] * 4
    assert sessions.get(other).user_id == "bob"


def test_the_sessions_of_a_user_are_listed_from_the_oldest_on(sessions: Any, clock: Time) -> None:
    for number in range(3):
        sessions.create("alice", {"n": number})
        clock.passes(1)
    sessions.create("bob", {})
    assert [session.data["n"] for session in sessions.list_user("alice")] == [0, 1, 2]
    (first, *_) = sessions.list_user("alice")
    assert sessions.revoke(first) is True
    assert [session.data["n"] for session in sessions.list_user("alice")] == [1, 2]


def test_over_his_limit_a_users_oldest_sessions_end(make: Make, clock: Time) -> None:
    sessions = make(max_per_user=2).sync
    tokens: list[str] = []
    for number in range(4):
        tokens.append(sessions.create("alice", {"n": number})[0])
        clock.passes(1)
    other, _ = sessions.create("bob", {})
    assert [sessions.get(token) is not None for token in [*tokens, other]] == [False, False, True, True, True]


def test_sessions_that_have_ended_do_not_count_against_the_limit(make: Make, clock: Time) -> None:
    sessions = make(max_per_user=2).sync
    sessions.create("alice", {})
    clock.passes(3_601)
    second, _ = sessions.create("alice", {})
    third, _ = sessions.create("alice", {})
    assert [sessions.get(token) is not None for token in (second, third)] == [True, True]


def test_an_index_that_leads_nowhere_is_repaired_but_not_while_a_login_is_under_way(
    sessions: Any, keeper: Keeper, clock: Time
) -> None:
    user, orphan = hidden("alice"), b"o" * 32
    keeper.perform(Note(user, orphan, clock.now, HOUR_MS))
    sessions.create("alice", {})
    sessions.list_user("alice")
    assert index(keeper, user) == 2
    clock.passes(61)
    assert len(sessions.list_user("alice")) == 1
    assert index(keeper, user) == 1


def index(keeper: Keeper, user: str) -> int:
    from tickspan.cache.sessions.requests import List

    listed: Any = keeper.perform(List(user))
    return len(listed)


@pytest.mark.parametrize(
    "token",
    [
        None,
        1,
        b"x" * 43,
        "",
        "x" * 42,
        "x" * 44,
        "ä" * 43,
        "x" * 42 + "\n",
        "x" * 42 + "=",
        "٣" * 43,
        "x" * 10**6,
    ],
)
def test_what_is_no_token_has_no_session_and_asks_nobody(make: Make, keeper: Any, token: Any) -> None:
    def nobody(_request: Any) -> Any:
        raise AssertionError("the store was asked")

    keeper.perform = nobody
    sessions = make().sync
    answers = [sessions.get(token), sessions.rotate(token), sessions.revoke(token)]
    assert answers == [None, None, False]


def test_a_token_that_nobody_gave_out_has_no_session(sessions: Any) -> None:
    sessions.create("alice", {})
    assert [sessions.get("x" * 43), sessions.rotate("x" * 43), sessions.revoke("x" * 43)] == [
        None,
        None,
        False,
    ]


def test_a_record_under_another_sessions_name_is_none(sessions: Any, keeper: Any) -> None:
    token, _ = sessions.create("alice", {})
    foreign = "x" * 43
    raw = keeper.perform(_fetch(token))[0].raw
    keeper.perform(Insert(digest_of(foreign) or b"", raw, HOUR_MS))
    assert (sessions.get(foreign), sessions.get(token).user_id) == (None, "alice")


@pytest.mark.parametrize(
    "raw",
    [b"", b"TK", b"TS" + b"\0" * 64, b"TK\x01\0" + b"\0" * 8 + b"\xc1", b"TK\x01\0" + b"\0" * 8 + b"\x80"],
)
def test_a_damaged_record_is_no_session(sessions: Any, keeper: Keeper, raw: bytes) -> None:
    token = "x" * 43
    keeper.perform(Insert(digest_of(token) or b"", raw, HOUR_MS))
    assert sessions.get(token) is None


def _fetch(token: str) -> Any:
    from tickspan.cache.sessions.requests import Fetch

    return Fetch((digest_of(token) or b"",))


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"a": [1, {"b": (1, 2)}]}, "$.a[1].b"),
        ({"a": object()}, "$.a"),
        ({1: "x"}, "$"),
        ({"a": datetime(2026, 1, 1)}, "$.a"),  # noqa: DTZ001 - it has no zone
        ({"a": {1, 2}}, "$.a"),
        (["a"], "dict"),
        ("a", "dict"),
    ],
)
def test_data_that_would_not_come_back_is_refused_with_its_place(
    sessions: Any, data: Any, where: str
) -> None:
    with pytest.raises(TypeError) as raised:
        sessions.create("alice", data)
    assert where in str(raised.value)
    assert sessions.list_user("alice") == []


def test_data_that_is_too_large_is_refused(sessions: Any) -> None:
    with pytest.raises(ValueError, match="session data"):
        sessions.create("alice", {"a": "x" * MAX_DATA_BYTES})


@pytest.mark.parametrize(
    ("user_id", "error"), [(1, TypeError), (None, TypeError), ("", ValueError), ("x" * 513, ValueError)]
)
def test_a_user_has_a_name(sessions: Any, user_id: Any, error: type[Exception]) -> None:
    for call in (lambda: sessions.create(user_id, {}), lambda: sessions.list_user(user_id)):
        with pytest.raises(error, match="user_id"):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"idle_ttl_s": 0},
        {"idle_ttl_s": float("nan")},
        {"absolute_ttl_s": -1},
        {"idle_ttl_s": 10, "absolute_ttl_s": 5},
        {"max_per_user": 0},
    ],
)
def test_bad_limits_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SessionStore(CACHE, keeper=MemoryKeeper(Time()), **options)


def test_nothing_secret_shows(make: Make, keeper: Keeper) -> None:
    store = make()
    token, session = store.sync.create("alice-s3cret", {"key": "v4lue"})
    shown = " ".join(map(repr, (session, store, store.sync, keeper)))
    assert not any(secret in shown for secret in (token, "s3cret", "v4lue", (digest_of(token) or b"").hex()))


def test_a_store_holds_neither_tokens_nor_names_of_users_in_its_keys(tmp_path: Path, clock: Time) -> None:
    path = tmp_path / "s" / "s.db"
    store = SessionStore(CACHE, keeper=FileKeeper(path, clock), now_ms=clock)
    token, _ = store.sync.create("alice", {})
    store.close()
    held = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert token.encode() not in held
    assert (digest_of(token) or b"") in held


def test_a_file_is_its_owners_alone(tmp_path: Path, clock: Time) -> None:
    keeper = FileKeeper(tmp_path / "s" / "s.db", clock)
    keeper.perform(Insert(b"d", b"raw", 1000))
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "s", *(tmp_path / "s").iterdir()]
    }
    keeper.close()
    assert modes.pop("s") == 0o700
    assert set(modes.values()) == {0o600}


def test_a_file_outlives_its_process(tmp_path: Path, clock: Time) -> None:
    path = tmp_path / "s" / "s.db"
    first = SessionStore(CACHE, keeper=FileKeeper(path, clock), now_ms=clock)
    token, _ = first.sync.create("alice", {"n": 1})
    first.close()
    again = SessionStore(CACHE, keeper=FileKeeper(path, clock), now_ms=clock)
    assert again.sync.get(token).data == {"n": 1}  # pyright: ignore[reportOptionalMemberAccess] - it is there
    again.close()


def test_what_has_ended_leaves_the_file(tmp_path: Path, clock: Time) -> None:
    keeper: Any = FileKeeper(tmp_path / "s" / "s.db", clock)
    for number in range(256):
        keeper.perform(Insert(b"%d" % number, b"raw", 1000))
    clock.passes(2)
    keeper.perform(Insert(b"new", b"raw", 1000))
    (rows,) = keeper._connection.execute("SELECT count(*) FROM sessions").fetchone()
    keeper.close()
    assert rows == 1


@pytest.mark.parametrize("harm", ["folder is a file", "damaged", "closed"])
def test_a_file_that_cannot_be_used_is_a_broken_store(tmp_path: Path, clock: Time, harm: str) -> None:
    path = tmp_path / "s" / "s.db"
    keeper = FileKeeper(path, clock)
    harms: dict[str, Callable[[], Any]] = {
        "folder is a file": lambda: path.parent.write_text(""),
        "damaged": lambda: (path.parent.mkdir(mode=0o700), path.write_bytes(b"no database" * 1000)),
        "closed": keeper.close,
    }
    harms[harm]()
    sessions = SessionStore(CACHE, keeper=keeper, now_ms=clock).sync
    for call in (
        lambda: sessions.get("x" * 43),
        lambda: sessions.create("alice", {}),
        lambda: sessions.list_user("a"),
    ):
        with pytest.raises(SessionStoreUnavailable):
            call()
    keeper.close()


def test_a_full_memory_refuses_logins_until_sessions_have_ended(clock: Time) -> None:
    keeper = MemoryKeeper(clock, most=2)
    sessions = SessionStore(CACHE, keeper=keeper, now_ms=clock).sync
    kept = [sessions.create("alice", {})[0] for _ in range(2)]
    with pytest.raises(SessionStoreUnavailable, match="full"):
        sessions.create("bob", {})
    assert all(sessions.get(token) for token in kept)
    clock.passes(3_601)
    assert sessions.create("bob", {})[1].user_id == "bob"


def test_memory_is_used_where_there_is_nothing_else_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tickspan.cache.sessions import store

    lines: list[str] = []
    monkeypatch.setattr(store.diagnostics, "warning", lines.append)
    repr_of = repr(SessionStore(CACHE))
    assert (repr_of, len(lines)) == ("<SessionStore <MemoryKeeper 0 sessions>, idle 3600 s>", 1)


def test_tokens_are_long_and_never_the_same(keeper: Keeper, clock: Time) -> None:
    sessions = SessionStore(CACHE, keeper=keeper, now_ms=clock).sync
    tokens = {sessions.create("alice", {})[0] for _ in range(20)}
    assert (len(tokens), {len(token) for token in tokens}) == (20, {43})


def test_a_forked_child_opens_the_file_anew(tmp_path: Path, clock: Time) -> None:
    store = SessionStore(CACHE, keeper=FileKeeper(tmp_path / "s" / "s.db", clock), now_ms=clock)
    token, _ = store.sync.create("alice", {})
    child = os.fork()
    if child == 0:
        os._exit(0 if store.sync.get(token) is not None and store.sync.revoke(token) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.sync.get(token) is None
    store.close()


def test_threads_share_a_store(make: Make) -> None:
    sessions = make(token=secrets.token_urlsafe).sync

    def live(number: int) -> int:
        token, session = sessions.create(f"user {number % 3}", {"n": number})
        session.data["n"] += 1
        sessions.save(session)
        return sessions.get(token).data["n"] - number

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(live, range(40))) == {1}
    assert [len(sessions.list_user(f"user {number}")) for number in range(3)] == [14, 13, 13]
