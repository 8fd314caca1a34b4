"""Whatever happens in whatever order: each kind of keeper and of caller tells the same story, by a model."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.cache.sessions import SessionConflict, SessionStore
from tickspan.cache.sessions.keepers import FileKeeper, MemoryKeeper
from tickspan.cache.sessions.record import Record, packed, packed_data, unpacked, unpacked_data

CACHE: Any = SimpleNamespace(namespace="bot", tiers=())
NAMES = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(["alice", "bob"])),
        st.tuples(st.sampled_from(["get", "save", "rotate", "revoke"]), NAMES),
        st.tuples(st.sampled_from(["list_user", "revoke_user"]), st.sampled_from(["alice", "bob"])),
        st.tuples(st.just("pass"), st.sampled_from([1, 4, 400, 3_000, 40_000])),
    ),
    max_size=25,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


class Run:
    """One store, and what it has told."""

    def __init__(self, keeper: Any, clock: list[int], *, is_async: bool) -> None:
        numbers = count()
        self.clock = clock
        self.store = SessionStore(
            CACHE,
            max_per_user=3,
            keeper=keeper,
            now_ms=lambda: clock[0],
            token=lambda: f"{next(numbers):043d}",
        )
        self.is_async = is_async
        self.read: dict[int, Any] = {}

    def step(self, verb: str, argument: Any) -> Any:
        """Do it, and tell what came of it without objects."""
        if verb == "pass":
            self.clock[0] += argument * 1000
            return None
        given = f"{argument:043d}" if isinstance(argument, int) else argument
        try:
            if verb == "save":
                session = self.read.get(argument)
                if session is None:
                    return "nothing was read"
                session.data["saves"] = session.data.get("saves", 0) + 1
                given = session
            result = self._call(verb, given)
        except SessionConflict:
            return "conflict"
        if verb == "get":
            self.read[argument] = result
        return _plain(result)

    def _call(self, verb: str, given: Any) -> Any:
        if self.is_async:
            return asyncio.run(getattr(self.store, verb)(given))
        return getattr(self.store.sync, verb)(given)


def _plain(result: Any) -> Any:
    if isinstance(result, tuple):
        return [_plain(one) for one in result]
    if isinstance(result, list):
        return [_plain(one) for one in result]
    if hasattr(result, "data"):
        return (result.user_id, dict(result.data), result.version, result.is_replaced, result.expires_at)
    return result


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_every_keeper_and_every_caller_tells_the_same_story(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clocks = [[1_700_000_000_000] for _ in range(3)]
        file = FileKeeper(Path(folder) / "s" / "s.db", lambda: clocks[2][0])
        runs = [
            Run(MemoryKeeper(lambda: clocks[0][0]), clocks[0], is_async=False),
            Run(MemoryKeeper(lambda: clocks[1][0]), clocks[1], is_async=True),
            Run(file, clocks[2], is_async=False),
        ]
        stories = [[run.step(verb, argument) for verb, argument in steps] for run in runs]
        file.close()
    assert stories[0] == stories[1] == stories[2]


@given(data=st.dictionaries(st.text(), VALUES, max_size=4))
def test_data_comes_back_as_it_was(data: dict[str, Any]) -> None:
    assert unpacked_data(packed_data(data)) == data


@given(
    user=st.text(max_size=20),
    digest=st.binary(min_size=32, max_size=32),
    twin=st.none() | st.binary(min_size=32, max_size=32),
    version=st.integers(1, 2**63),
    is_replaced=st.booleans(),
)
def test_a_record_comes_back_as_it_was(
    user: str, digest: bytes, twin: bytes | None, version: int, is_replaced: bool
) -> None:
    record = Record(user, 1, 2, version, is_replaced, twin)
    assert unpacked(packed(record, digest, b"data")) == (record, digest, b"data")


@given(raw=st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"TK\x01\0" + bytes(8) + tail))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    assert unpacked(raw) is None
