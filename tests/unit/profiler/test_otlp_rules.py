"""The rules find what is against them, and nothing in what our encoder makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
from opentelemetry.proto.profiles.v1development import profiles_pb2 as pb

from tickspan.analysis.profiles import Frame, Link, Profile, Sample
from tickspan.profiler.encoding.otlp import request
from tickspan.profiler.profiler import Profiler

from .otlp_rules import violations


def broken(profile: Profile, do: Callable[[Any, Any], object]) -> list[str]:
    made = request(profile, profile_id=b"0123456789abcdef")
    do(made.dictionary, made.resource_profiles[0].scope_profiles[0].profiles[0])
    return violations(made)


BREAKS: dict[str, Callable[[Any, Any], object]] = {
    "link_table[0] is not the zero value": lambda tables, _: tables.link_table[0].MergeFrom(
        pb.Link(trace_id=b"1" * 16)
    ),
    "mapping_table has no zero value": lambda tables, _: tables.ClearField("mapping_table"),
    "stack_table has an entry 2 times": lambda tables, _: tables.stack_table.append(tables.stack_table[1]),
    "string_table has an entry 2 times": lambda tables, _: tables.string_table.append("wall"),
    "string_table[99] is referred to, and is not there": lambda tables, _: tables.function_table.append(
        pb.Function(name_strindex=99)
    ),
    "link_table[1] has no valid span_id": lambda tables, _: setattr(tables.link_table[1], "span_id", b"1"),
    "attribute_table[1] has no key or no value": lambda tables, _: tables.attribute_table[1].ClearField(
        "value"
    ),
    "a Sample has a key twice, or the zero value as an attribute": lambda _, made: made.samples[
        0
    ].attribute_indices.append(made.samples[0].attribute_indices[0]),
    "a profile does not say what its values are": lambda _, made: made.ClearField("sample_type"),
    "a profile's id is not 16 bytes that are not all zero": lambda _, made: setattr(
        made, "profile_id", bytes(16)
    ),
    "a payload and its format are not set together": lambda _, made: setattr(made, "original_payload", b"x"),
    "2 samples have the same identity": lambda _, made: made.samples.append(made.samples[0]),
    "samples have several shapes": lambda _, made: made.samples[0].timestamps_unix_nano.append(
        made.time_unix_nano
    ),
    "a sample has neither a value nor a time": lambda _, made: made.samples[0].ClearField("values"),
    "a sample has 1 values at 2 times": lambda _, made: made.samples[0].timestamps_unix_nano.extend(
        [made.time_unix_nano] * 2
    ),
    "a sample without times has 2 values of one type": lambda _, made: made.samples[0].values.append(1),
    "a sample's time is not within its profile": lambda _, made: made.samples[0].timestamps_unix_nano.append(
        1
    ),
}


@pytest.mark.parametrize("told", BREAKS)
def test_what_is_against_a_rule_is_found(profile: Profile, told: str):
    assert told in broken(profile, BREAKS[told])


def test_an_entry_that_nobody_refers_to_is_found(profile: Profile):
    assert broken(
        profile, lambda tables, _: tables.link_table.append(pb.Link(trace_id=b"1" * 16, span_id=b"2" * 8))
    ) == ["link_table[2] is an orphan"]


TEXTS = st.sampled_from(["", "f", "g", "wall", "nanoseconds", "cpu", "\ud800", "\udc80", "?", "é"])
FRAMES = st.builds(Frame, TEXTS, TEXTS, st.integers(0, 3), st.integers(0, 2))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    frames = draw(st.lists(FRAMES, min_size=1, max_size=6, unique=True))
    stacks = draw(st.lists(st.lists(st.integers(0, len(frames) - 1), max_size=4), max_size=5))
    links = st.none() | st.builds(Link, st.integers(1, 3), st.integers(1, 3))
    samples = st.builds(
        Sample,
        st.integers(0, len(stacks)),
        TEXTS,
        st.sampled_from(["cpu", "io"]),
        links,
        st.integers(1, 9),
        st.integers(0, 99),
    )
    return Profile(
        draw(st.sampled_from(["", "bot"])),
        "",
        1,
        10,
        10,
        1,
        tuple(frames),
        ((), *map(tuple, stacks)),
        tuple(draw(st.lists(samples, max_size=12))),
    )


NAMELESS = Profile("", "", 1, 1, 1, 1, (Frame("", ""),), ((), (0,)), (Sample(1, "", "", None, 1, 1),))


@given(profiles())
@example(NAMELESS)
def test_every_profile_is_encoded_by_the_rules_and_adds_up(given_one: Profile):
    made = request(given_one)
    assert violations(ExportProfilesServiceRequest.FromString(made.SerializeToString())) == []
    (told,) = made.resource_profiles[0].scope_profiles[0].profiles
    assert sum(one.values[0] for one in told.samples) == sum(one.wall_ns for one in given_one.samples)


def test_the_profile_of_a_real_program_is_encoded_by_the_rules():
    profiler = Profiler()
    profiler.start("continuous", hz=500, cpu_budget=1.0)
    try:
        while len(profiler.profile().stacks) < 3:
            sum(range(1_000))
            sorted(range(1_000), key=lambda one: -one)
    finally:
        profiler.stop()
    assert violations(request(profiler.profile())) == []
