"""Each form of a profile says what the profile says, and is valid by the rules of its format."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.profiles.v1development import profiles_pb2

from tickspan.analysis.profiles import Frame, Link, Profile, Sample
from tickspan.profiler.encoding.flamegraph import flame_html, flame_svg
from tickspan.profiler.encoding.folded import folded
from tickspan.profiler.encoding.otlp import request
from tickspan.profiler.encoding.pprof import pprof, read_pprof
from tickspan.profiler.profiler import Profiler

from .otlp_rules import violations

GO: Final = shutil.which("go")
NODE: Final = shutil.which("node")


def test_folded_stacks_run_from_the_thread_to_the_leaf(profile: Profile):
    assert folded(profile) == (
        "MainThread;<module> (main.py:9);Engine.on_tick (engine.py:42) 3\n"
        "MainThread;<module> (main.py:9);Engine.on_tick (engine.py:42);price (pricing.py:7) 3\n"
        "worker:1;<module> (main.py:9);Engine.on_tick (engine.py:42) 1\n"
    )


def test_folded_stacks_without_threads_are_added_up(profile: Profile):
    assert folded(profile, with_threads=False) == (
        "<module> (main.py:9);Engine.on_tick (engine.py:42) 4\n"
        "<module> (main.py:9);Engine.on_tick (engine.py:42);price (pricing.py:7) 3\n"
    )


def pprof_class() -> Any:
    """`perftools.profiles.Profile`, as the fields of the published file that are used here."""
    file = descriptor_pb2.FileDescriptorProto(
        name="profile.proto", package="perftools.profiles", syntax="proto3"
    )
    one, many = 1, 3
    kinds = {"int64": 3, "uint64": 4, "string": 9, "message": 11}
    fields = {
        "ValueType": [(1, "type", "int64", one), (2, "unit", "int64", one)],
        "Label": [(1, "key", "int64", one), (2, "str", "int64", one), (3, "num", "int64", one)],
        "Sample": [
            (1, "location_id", "uint64", many),
            (2, "value", "int64", many),
            (3, "label", ".Label", many),
        ],
        "Line": [(1, "function_id", "uint64", one), (2, "line", "int64", one)],
        "Location": [
            (1, "id", "uint64", one),
            (2, "mapping_id", "uint64", one),
            (3, "address", "uint64", one),
            (4, "line", ".Line", many),
        ],
        "Function": [
            (1, "id", "uint64", one),
            (2, "name", "int64", one),
            (3, "system_name", "int64", one),
            (4, "filename", "int64", one),
            (5, "start_line", "int64", one),
        ],
        "Profile": [
            (1, "sample_type", ".ValueType", many),
            (2, "sample", ".Sample", many),
            (4, "location", ".Location", many),
            (5, "function", ".Function", many),
            (6, "string_table", "string", many),
            (9, "time_nanos", "int64", one),
            (10, "duration_nanos", "int64", one),
            (11, "period_type", ".ValueType", one),
            (12, "period", "int64", one),
            (13, "comment", "int64", many),
            (14, "default_sample_type", "int64", one),
        ],
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for number, member, kind, label in members:
            field = message.field.add(name=member, number=number, label=label)
            number_of_kind: Any = kinds["message" if kind.startswith(".") else kind]
            field.type = number_of_kind
            if kind.startswith("."):
                field.type_name = f".perftools.profiles{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("perftools.profiles.Profile"))


def test_pprof_holds_stacks_values_and_labels(profile: Profile):
    read = pprof_class().FromString(gzip.decompress(pprof(profile)))
    text = list(read.string_table)
    functions = {one.id: (text[one.name], text[one.filename], one.start_line) for one in read.function}
    lines = {one.id: (*functions[one.line[0].function_id], one.line[0].line) for one in read.location}
    told = [
        (
            [lines[place][0] for place in sample.location_id],
            list(sample.value),
            {text[label.key]: text[label.str] for label in sample.label},
        )
        for sample in read.sample
    ]
    assert told == [
        (
            ["price", "Engine.on_tick", "<module>"],
            [2, 200_000_000],
            {"thread": "MainThread", "state": "cpu", "trace_id": f"{0xA1:032x}", "span_id": f"{0xB2:016x}"},
        ),
        (["price", "Engine.on_tick", "<module>"], [1, 100_000_000], {"thread": "MainThread", "state": "cpu"}),
        (["Engine.on_tick", "<module>"], [3, 300_000_000], {"thread": "MainThread", "state": "io"}),
        (["Engine.on_tick", "<module>"], [1, 100_000_000], {"thread": "worker;1", "state": "lock"}),
    ]
    assert [(text[one.type], text[one.unit]) for one in read.sample_type] == [
        ("samples", "count"),
        ("wall", "nanoseconds"),
    ]
    assert (text[0], read.time_nanos, read.duration_nanos, read.period) == (
        "",
        profile.started_unix_ns,
        2_000_000_000,
        100_000_000,
    )
    assert lines[1] == ("price", "/bot/pricing.py", 3, 7)


ODD = Profile(
    "",
    "",
    1,
    1,
    1,
    1,
    (Frame('f"<script>&', "/x/</title>.py", 1, 1), Frame("g", "/x/y.py", 2, 1), Frame("g", "/x/y.py", 3, 1)),
    ((), (0,), (1, 0), (2, 0)),
    (
        Sample(0, "t", "cpu", None, 1, 1),
        Sample(1, "t", "cpu", None, 1, 1),
        Sample(2, "t", "cpu", None, 1, 1),
        Sample(3, "t", "cpu", None, 1, 1),
    ),
)
EMPTY = Profile("", "", 1, 1, 1, 1, (), ((),), ())


@pytest.mark.parametrize("given", ["profile", "odd", "empty"])
def test_an_otlp_request_is_valid_by_the_published_rules(profile: Profile, given: str):
    """Of `profiles.proto` in opentelemetry-proto 1.10: zero values first, no duplicates, no orphans."""
    message = request({"profile": profile, "odd": ODD, "empty": EMPTY}[given], profile_id=b"0123456789abcdef")
    assert violations(message) == []
    assert message.resource_profiles[0].scope_profiles[0].profiles[0].profile_id == b"0123456789abcdef"


def test_an_otlp_request_links_samples_to_spans_and_tells_the_kind_of_frames(profile: Profile):
    message = request(profile, {"host.name": "h"}, b"0123456789abcdef")
    tables = message.dictionary
    (made,) = message.resource_profiles[0].scope_profiles[0].profiles
    linked = [tables.link_table[one.link_index] for one in made.samples if one.link_index]
    keys = [tables.string_table[one.key_strindex] for one in tables.attribute_table[1:]]
    resource = {one.key: one.value.string_value for one in message.resource_profiles[0].resource.attributes}
    assert linked == [profiles_pb2.Link(trace_id=(0xA1).to_bytes(16), span_id=(0xB2).to_bytes(8))]
    assert sorted(set(keys)) == ["profile.frame.type", "thread.name", "tickspan.profiler.state"]
    assert resource == {"service.name": "bot", "service.version": "1.2", "host.name": "h"}
    assert sum(one.values[0] for one in made.samples) == 700_000_000


def test_a_flame_graph_is_well_formed_and_adds_up(profile: Profile):
    root = ET.fromstring(flame_svg(profile))
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sorted(map(str, titles)) == [
        "<module> (main.py:9): 1 samples, 14.3 %",
        "<module> (main.py:9): 6 samples, 85.7 %",
        "Engine.on_tick (engine.py:42): 1 samples, 14.3 %",
        "Engine.on_tick (engine.py:42): 6 samples, 85.7 %",
        "MainThread: 6 samples, 85.7 %",
        "all: 7 samples, 100.0 %",
        "price (pricing.py:7): 3 samples, 42.9 %",
        "worker;1: 1 samples, 14.3 %",
    ]


def test_names_of_a_program_cannot_leave_their_place_in_a_page():
    page = flame_html(ODD)
    ET.fromstring(flame_svg(ODD))
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert "<" not in data[1]
    assert [row[0] for row in json.loads(data[1])] == [
        "all",
        "t",
        'f"<script>& (title>.py:1)',
        "g (y.py:3)",
        "g (y.py:2)",
    ]


def test_a_page_loads_nothing(profile: Profile):
    assert re.findall(r"(?:src|href)\s*=|url\(|@import|https?://", flame_html(profile)) == []


def test_the_deepest_stack_becomes_a_page():
    frames = tuple(Frame(f"f{place}", "/x.py", place, 1) for place in range(128))
    deep = Profile("", "", 1, 1, 1, 1, frames, ((), tuple(range(128))), (Sample(1, "t", "cpu", None, 1, 1),))
    assert flame_html(deep).count("f127") == 1
    assert len(list(ET.fromstring(flame_svg(deep)).iter("{http://www.w3.org/2000/svg}g"))) == 130


@given(st.data())
def test_a_pprof_file_is_read_as_it_was_written(data: st.DataObject):
    texts = st.text(st.characters(codec="utf-8"), max_size=5)
    frames = st.builds(Frame, texts, texts, st.integers(0, 1 << 40), st.integers(0, 9))
    known = data.draw(st.lists(frames, unique=True, max_size=5))
    stacks = data.draw(st.permutations([tuple(range(place)) for place in range(1, len(known) + 1)]))
    links = st.none() | st.builds(Link, st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1))
    of_stacks = (
        st.builds(
            Sample, st.just(place), texts, texts, links, st.integers(0, 1 << 40), st.integers(0, 1 << 62)
        )
        for place in range(len(stacks) + 1)
    )
    samples = data.draw(st.tuples(*of_stacks))
    written = Profile("b=t", "1", 7, 1 << 60, 99, 10, tuple(known), ((), *stacks), samples, lost=3)
    assert read_pprof(pprof(written, {"tickspan.profile.reason": "slow"})) == written


@given(st.binary(max_size=300))
def test_what_is_no_pprof_file_is_refused(data: bytes):
    for content in (data, gzip.compress(data)):
        with pytest.raises(ValueError, match="expected a pprof file"):
            read_pprof(content)


def test_a_pprof_file_that_is_damaged_or_cut_is_refused(profile: Profile):
    whole = gzip.decompress(pprof(profile))
    assert read_pprof(gzip.compress(whole)).samples == profile.samples
    for size in range(0, len(whole), 7):
        try:
            cut = read_pprof(gzip.compress(whole[:size]))
        except ValueError:
            continue
        assert cut.samples == profile.samples[: len(cut.samples)]
    with pytest.raises(ValueError, match="expected a pprof file"):
        read_pprof(pprof(profile)[:-9])


@pytest.fixture
def program() -> Profile:
    """Of a program whose stacks are known."""
    profiler = Profiler()

    def price() -> None:
        sum(range(2_000))

    def on_tick() -> None:
        price()

    profiler.start("continuous", hz=500, cpu_budget=1.0)
    try:
        while "price" not in {frame.name.rpartition(".")[2] for frame in profiler.profile().frames}:
            on_tick()
    finally:
        profiler.stop()
    return profiler.profile()


@pytest.mark.skipif(GO is None, reason="no Go, whose pprof reads these files")
def test_go_reads_the_pprof_file_of_a_real_program(program: Profile, tmp_path: Path):
    path = tmp_path / "bot.pb.gz"
    path.write_bytes(pprof(program))
    told = subprocess.run(
        [str(GO), "tool", "pprof", "-raw", str(path)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    samples = re.findall(r"^ +(\d+) +(\d+):((?: \d+)*) *$", told, re.MULTILINE)
    locations = dict(re.findall(r"^ +(\d+): 0x0 M=1 (.* .*:\d+:0) s=\d+\(\)$", told, re.MULTILINE))
    read = Counter(
        (tuple(locations[place] for place in places.split()), int(count), int(wall_ns))
        for count, wall_ns, places in samples
    )
    written = Counter(
        (
            tuple(f"{frame.name} {frame.file}:{frame.line}:0" for frame in program.frames_of(sample)),
            sample.count,
            sample.wall_ns,
        )
        for sample in program.samples
    )
    assert read == written
    assert "samples/count wall/nanoseconds[dflt]" in told


@pytest.mark.skipif(NODE is None, reason="no Node.js, which runs the page's script")
def test_a_click_zooms_and_a_word_searches(profile: Profile, tmp_path: Path):
    page = flame_html(profile)
    path = tmp_path / "page.json"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    data = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    path.write_text(json.dumps({"script": scripts[0], "data": data[0]}))
    driver = Path(__file__).with_name("flame_page.js")
    done = subprocess.run(
        [str(NODE), str(driver), str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == {
        "whole": [
            ["<module> (main.py:9)", 143],
            ["<module> (main.py:9)", 857],
            ["Engine.on_tick (engine.py:42)", 143],
            ["Engine.on_tick (engine.py:42)", 857],
            ["MainThread", 857],
            ["all", 1000],
            ["price (pricing.py:7)", 429],
            ["worker;1", 143],
        ],
        "zoomed": [
            ["<module> (main.py:9)", 1000],
            ["Engine.on_tick (engine.py:42)", 1000],
            ["MainThread", 1000],
            ["all", 1000],
            ["price (pricing.py:7)", 500],
        ],
        "found": ["price (pricing.py:7)"],
        "said": "price (pricing.py:7): 3 samples, 42.9 %",
        "back": 8,
    }
