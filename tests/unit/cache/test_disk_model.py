"""The disk tier against a model of it: whatever is asked in whatever order, wherever it stands by then."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.cache.disk import DiskTier
from tickspan.cache.disk import tier as module
from tickspan.cache.envelope import Envelope
from tickspan.cache.tiers import NOTHING, Bump, Bury, Erase, Found, Read, Write

TTL_MS = 60_000
KEYS = ("a", "b", "r:a", "r:b")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("version"), st.sampled_from(KEYS), st.integers(1, 5)),
        st.tuples(st.just("lease"), st.sampled_from(KEYS), st.sampled_from((0, 1))),
        st.tuples(st.just("nothing"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("bury"), st.sampled_from(KEYS), st.integers(0, 5)),
        st.tuples(st.just("erase"), st.sampled_from(("r:", "")), st.just(0)),
        st.tuples(st.just("bump"), st.sampled_from(("s", "t")), st.integers(0, 9)),
        st.tuples(st.just("flush"), st.just(""), st.just(0)),
        st.tuples(st.just("reopen"), st.just(""), st.just(0)),
    ),
    max_size=25,
)
_ids = itertools.count(1)


def raw(number: int, version: int = 0, *, is_tombstone: bool = False) -> bytes:
    return Envelope(
        number.to_bytes(8), 0, 0, TTL_MS, TTL_MS, version=version, is_tombstone=is_tombstone
    ).to_bytes()


@dataclass
class Model:
    """What the tier is said to do, with dicts."""

    values: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Ids and versions."""
    epochs: dict[str, int] = field(default_factory=dict[str, int])

    def write(self, key: str, number: int, version: int | None, expected: int | None) -> bool:
        held, held_version = self.values.get(key, (0, 0))
        if expected is not None and held != expected:
            return False
        if version is not None and held_version > version:
            return False
        self.values[key] = (number, version or 0)
        return True

    def bury(self, key: str, number: int, version: int) -> None:
        self.values[key] = (number, max(version, self.values.get(key, (0, 0))[1]))

    def erase(self, prefix: str) -> None:
        self.values = {key: there for key, there in self.values.items() if not key.startswith(prefix)}

    def bump(self, name: str, now_ms: int) -> int:
        self.epochs[name] = max(now_ms, self.epochs.get(name, 0) + 1)
        return self.epochs[name]


@pytest.fixture(scope="module")
def disk() -> Generator[DiskTier]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_PATIENCE_S", 10.0)  # the machine may be slow
        patched.setattr(module, "_ERASING_S", 10.0)
        tier = DiskTier(Path(folder) / "cache")
        yield tier
        tier.close()


def done(disk: DiskTier, model: Model, start: str, step: tuple[str, str, int]) -> tuple[Any, Any]:
    """The step by the tier and by the model: their answers."""
    what, key, number = step
    name, identity = start + key, next(_ids)
    held = model.values.get(name, (0, 0))[0]
    ours: Any = None
    models: Any = None
    match what:
        case "write":
            ours = disk.perform(Write(name, raw(identity), TTL_MS))
            models = model.write(name, identity, None, None)
        case "version":
            ours = disk.perform(Write(name, raw(identity, number), TTL_MS, version=number))
            models = model.write(name, identity, number, None)
        case "lease":
            expected = held + number or 12345
            ours = disk.perform(Write(name, raw(identity), TTL_MS, expected.to_bytes(8)))
            models = model.write(name, identity, None, expected)
        case "nothing":
            ours = disk.perform(Write(name, raw(identity), TTL_MS, NOTHING))
            models = model.write(name, identity, None, 0)
        case "bury":
            disk.perform(Bury((name,), (raw(identity, number, is_tombstone=True),), TTL_MS))
            model.bury(name, identity, number)
        case "erase":
            disk.perform(Erase(name))
            model.erase(name)
        case "bump":
            ours = disk.perform(Bump((name,), number))
            models = (model.bump(name, number),)
        case "reopen":
            assert disk._file is None or disk._file.close()
            disk._file = None
        case _:
            assert disk._flush()
    return ours, models


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_the_tier_answers_as_its_model_wherever_values_stand(
    disk: DiskTier, steps: list[tuple[str, str, int]]
) -> None:
    start, model = f"{next(_ids)}:", Model()
    names = tuple(start + key for key in KEYS)
    for step in steps:
        ours, models = done(disk, model, start, step)
        assert ours == models, step
        found = disk.perform(Read(names, (start + "s", start + "t")))
        assert isinstance(found, Found)
        held = [0 if value is None else int.from_bytes(value[16:24]) for value in found.values]
        assert held == [model.values.get(name, (0, 0))[0] for name in names], step
        assert found.epochs == (model.epochs.get(start + "s", 0), model.epochs.get(start + "t", 0)), step


def test_no_reader_ever_goes_back_to_an_older_value(disk: DiskTier) -> None:
    keys = tuple(f"back:{number}" for number in range(20))
    over = threading.Event()
    wrong: list[tuple[int, int]] = []

    def read(seed: int) -> None:
        rng = Random(seed)
        seen = dict.fromkeys(keys, 0)
        while not over.is_set():
            key = rng.choice(keys)
            found = disk.perform(Read((key,)))
            assert isinstance(found, Found)
            number = 0 if found.values[0] is None else int.from_bytes(found.values[0][16:24])
            if number < seen[key]:
                wrong.append((seen[key], number))
            seen[key] = number

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 150):
        for key in keys:
            disk.perform(Write(key, raw(number), TTL_MS))
        if number % 5 == 0:
            disk._flush()
    over.set()
    for reader in readers:
        reader.join()
    assert wrong == []
