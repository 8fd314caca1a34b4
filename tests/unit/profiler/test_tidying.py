"""A sampler that runs for days: what is new finds room, and no sample is forgotten."""

from __future__ import annotations

import pytest

from tickspan.analysis.profiles import Link
from tickspan.profiler import sampler as sampler_module
from tickspan.profiler.sampler import Sampler, Seen
from tickspan.profiler.states import State
from tickspan.profiler.tables import NOWHERE, Tables

CODES = [(lambda: None).__code__.replace(co_qualname=f"f{number}") for number in range(9)]


def stack(tables: Tables, number: int) -> int:
    return tables.stack((id(CODES[number]), 0), [CODES[number]])


def keep(sampler: Sampler, number: int, times: int, link: Link | None = None) -> int:
    found = stack(sampler.tables, number)
    for _ in range(times):
        sampler._keep(Seen(1, found, "t", State.CPU, link, 10))
    return found


def names(sampler: Sampler) -> dict[str, int]:
    profile = sampler.profile()
    return {
        "".join(one.name for one in profile.frames_of(sample)): sample.count for sample in profile.samples
    }


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Sampler:
    monkeypatch.setattr(sampler_module, "_STACKS_LEFT", 2)
    made = Sampler()
    made.tables = Tables(most_frames=4, most_stacks=5)
    made._tidy_at_s = 0.0
    return made


def test_the_rarest_stacks_make_room_and_their_samples_are_counted(sampler: Sampler):
    for number, times in enumerate((5, 1, 3, 2)):
        keep(sampler, number, times)
    assert stack(sampler.tables, 8) == NOWHERE
    sampler._tidy()
    keep(sampler, 8, 4)
    assert names(sampler) == {"f0": 5, "f2": 3, "": 3, "f8": 4}
    assert sampler.profile().lost == 3 + 1  # f1 and f3, and the one look that found no room


def test_stacks_that_somebody_still_wants_stay(sampler: Sampler):
    wanted = keep(sampler, 0, 1)
    sampler._used = lambda: [wanted]
    for number in (1, 2, 3):
        keep(sampler, number, 9)
    sampler._tidy()
    assert [frame.name for frame in sampler.tables.names(wanted)] == ["f0"]


def test_old_spans_make_room_for_new_ones(sampler: Sampler, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampler_module, "_MOST_LINKS", 3)
    for number in range(1, 6):
        keep(sampler, 0, 1, Link(1, number))
    sampler._tidy()
    keep(sampler, 0, 1, Link(1, 9))
    assert [(one.link, one.count) for one in sampler.profile().samples] == [(None, 5), (Link(1, 9), 1)]


def test_it_is_done_once_a_minute_and_only_where_room_runs_short(sampler: Sampler):
    keep(sampler, 0, 1, Link(1, 1))
    sampler._tidy()
    rows = sampler._rows
    for number in range(4):
        keep(sampler, number, 1)
    sampler._tidy()
    assert sampler._rows is rows
