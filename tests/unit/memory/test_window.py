"""A detailed look traces allocations for a time, is told at both ends, and ends by itself."""

from __future__ import annotations

import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickspan.analysis.profiles import Frame, Profile
from tickspan.memory import DeclinedError, Window, critical, detailed
from tickspan.memory.heap import Names
from tickspan.providers import TracerProvider
from tickspan.recording.ticker import Ticker
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:
    yield
    tracemalloc.stop()


def test_it_finds_the_line_that_allocated(sink: MemorySink) -> None:
    with detailed() as window:
        kept = [bytes(1_000) for _ in range(1_000)]
    detail = window.stop()
    (first, *_) = detail.lines
    assert (first.place.rpartition(":")[0], first.size_bytes > 1_000_000, first.number >= len(kept)) == (
        "memory/test_window.py",
        True,
        True,
    )
    told = [(one.event_name, one.attributes[names.MEMORY_PHASE]) for one in sink.telemetry().logs]
    assert told == [("tickspan.memory.window", "begin"), ("tickspan.memory.window", "end")]
    assert not tracemalloc.is_tracing()


def test_more_frames_tell_who_called(sink: MemorySink) -> None:
    def allocate() -> bytes:
        return bytes(1 << 20)

    with detailed(frames=3) as window:
        kept = allocate()
    assert len(kept) == 1 << 20
    (first, *_) = window.stop().lines
    assert first.place.count("test_window.py") >= 2


def test_it_ends_by_itself(sink: MemorySink) -> None:
    now = [0.0]
    ticker = Ticker(lambda: now[0], has_thread=False)
    window = Window(60.0, 1, lambda: ticker)
    now[0] = 59.0
    ticker.run_due()
    before = window.detail
    now[0] = 60.0
    ticker.run_due()
    assert (before, window.wait(10) is window.detail is not None, tracemalloc.is_tracing()) == (
        None,
        True,
        False,
    )


@pytest.mark.parametrize("backend", ["tracemalloc", "memray"])
def test_it_is_declined_while_somebody_else_traces(backend: str) -> None:
    if backend == "memray":
        pytest.importorskip("memray", reason="memray is not installed")
    tracemalloc.start()
    with pytest.raises(DeclinedError, match="allocations are traced already"):
        detailed(backend=backend)


@pytest.mark.usefixtures("sink")
def test_two_looks_at_once_are_declined_and_the_next_one_is_not() -> None:
    with detailed(), pytest.raises(DeclinedError, match="allocations are traced already"):
        detailed()
    detailed().stop()


def test_memray_sees_what_c_allocates_and_names_functions(
    sink: MemorySink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pytest.importorskip("memray", reason="memray is not installed")

    def allocate() -> bytearray:
        return bytearray(3 << 20)

    with detailed(frames=4, backend="memray") as window:
        kept = allocate()
    detail = window.stop()
    profile = detail.profile
    assert profile is not None
    largest = max(profile.samples, key=profile.weight)
    names_of = [frame.name for frame in profile.frames_of(largest)]
    names_of[0] = names_of[0].rpartition(".")[2]
    assert (len(kept), names_of[0], detail.lines[0].size_bytes >= 3 << 20) == (3 << 20, "allocate", True)
    assert list(tmp_path.iterdir()) == []
    told = [one.attributes[names.MEMORY_PHASE] for one in sink.telemetry().logs]
    assert told == ["begin", "end"]


def test_a_missing_memray_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "memray", None)
    with pytest.raises(ModuleNotFoundError, match="memray is not installed; pip install memray"):
        detailed(backend="memray")


@pytest.mark.usefixtures("sink")
def test_a_profile_of_the_heap_names_the_functions_that_allocated() -> None:
    class Book:
        def fill(self) -> list[bytes]:
            def level(number: int) -> bytes:
                return bytes(10_000 + number)

            return [level(number) for number in range(100)]

    with detailed(frames=5) as window:
        kept = Book().fill()
    profile = window.stop().profile
    assert profile is not None
    largest = max(profile.samples, key=profile.weight)
    (leaf, *_) = profile.frames_of(largest)
    test = "test_a_profile_of_the_heap_names_the_functions_that_allocated.<locals>"
    assert leaf.name == f"{test}.Book.fill.<locals>.level"
    assert (leaf.line - leaf.first_line, largest.count, largest.wall_ns >= 1_000_000) == (1, len(kept), True)
    assert Profile.load(profile.dump()) == profile


def test_spans_that_run_meanwhile_carry_by_how_much_memory_grew(sink: MemorySink) -> None:
    provider = TracerProvider(shutdown_on_exit=False, sink=sink)
    tracer = provider.get_tracer("desk")
    kept: list[bytes] = []
    window = Window(60.0, 1, provider=provider)
    for _ in range(2):
        with tracer.start_as_current_span("load"):
            kept.append(bytes(1 << 20))
    with tracer.start_as_current_span("look"):
        pass
    growths = window.stop().spans
    with tracer.start_as_current_span("after"):
        kept.append(bytes(1 << 20))
    told: list[tuple[str, Any]] = [
        (span.name, span.attributes.get(names.MEMORY_GROWTH_TRACED)) for span in sink.telemetry().spans
    ]
    assert [(one.name, one.spans, one.grown_bytes >> 20) for one in growths] == [
        ("load", 2, 2),
        ("look", 1, 0),
    ]
    assert [(name, None if grown is None else grown >> 20) for name, grown in told] == [
        ("load", 1),
        ("load", 1),
        ("look", 0),
        ("after", None),
    ]


def test_lines_outside_of_functions_and_of_unreadable_files_have_names_too(tmp_path: Path) -> None:
    source = tmp_path / "book.py"
    source.write_text("A = 1\n\ndef fill():\n    x = 1\n    return x\n\nB = 2\n")
    known = Names()
    assert [known.frame(str(source), line)[0] for line in (1, 4, 7)] == ["<module>", "fill", "<module>"]
    assert known.frame("<string>", 3) == Frame("<string>", "<string>", 3)


def test_it_is_declined_in_a_critical_section() -> None:
    with critical(), pytest.raises(DeclinedError, match="a critical section is open"):
        detailed()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 0}, "seconds: expected a number above 0"),
        ({"seconds": 1e9}, "3600 at most, got 1000000000.0"),
        ({"frames": 0}, "frames: expected 1 to 25, got 0"),
        ({"backend": "guppy"}, "backend: expected 'tracemalloc' or 'memray', got 'guppy'"),
    ],
)
def test_arguments_out_of_bounds_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detailed(**arguments)  # pyright: ignore[reportArgumentType] - what a program gets wrong
    assert not tracemalloc.is_tracing()


def test_somebody_else_may_stop_it(sink: MemorySink) -> None:
    window = detailed()
    tracemalloc.stop()
    assert window.stop().lines == ()
