"""Spans out of a spool that others write and empty."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import set_span_in_context
from tickspan_spool.home import FORMAT_FOLDER
from tickspan_spool.spool import Spool, SpoolPlan

from tickspan.cli.tail.following import SpoolFollower
from tickspan.providers import TracerProvider


class Program:
    """A program's spans, on their way into a spool."""

    def __init__(self, spool: Path, segment_bytes: int) -> None:
        self.spool = Spool(SpoolPlan(spool, segment_bytes=segment_bytes, agent="off"))
        sink: Any = self.spool  # a compiled class among its parts has no types that a checker knows
        self.provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
        self.tracer = self.provider.get_tracer("program")

    def end(self, *names: str) -> None:
        """Start and end spans of these names."""
        for name in names:
            self.tracer.start_span(name, set_span_in_context(None)).end()  # pyright: ignore[reportArgumentType]

    @property
    def folder(self) -> Path:
        path = self.spool.statistics().path
        assert path is not None
        return path

    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("*.seg"))


Make = Callable[..., Program]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    programs: list[Program] = []

    def make_it(segment_bytes: int = 64 << 10) -> Program:
        programs.append(Program(tmp_path, segment_bytes))
        return programs[-1]

    yield make_it
    for program in programs:
        program.provider.shutdown()
        program.spool.close(1.0)


def _names(follower: SpoolFollower) -> list[str]:
    return [span.name for span in follower.new_spans()]


def test_what_ends_is_given_once(make: Make, tmp_path: Path):
    program = make()
    with closing(SpoolFollower(tmp_path)) as follower:
        assert _names(follower) == []
        program.end("a", "b")
        assert (_names(follower), _names(follower)) == (["a", "b"], [])
        program.end("c")
        assert _names(follower) == ["c"]


def test_a_program_that_comes_later_is_read_from_its_begin(make: Make, tmp_path: Path):
    with closing(SpoolFollower(tmp_path)) as follower:
        assert _names(follower) == []
        make().end("a")
        make().end("b")
        assert sorted(_names(follower)) == ["a", "b"]


def test_a_spool_that_is_not_there_yet_has_nothing(tmp_path: Path):
    with closing(SpoolFollower(tmp_path / "later")) as follower:
        assert _names(follower) == []


def test_reading_goes_on_over_many_segments(make: Make, tmp_path: Path):
    program = make()
    with closing(SpoolFollower(tmp_path)) as follower:
        program.end("first")
        assert _names(follower) == ["first"]
        names = [f"{number:04} {'x' * 200}" for number in range(1_500)]
        program.end(*names)
        assert len(program.segments()) > 3
        assert _names(follower) == names


def test_without_asking_for_the_begin_only_the_segment_that_is_written_is_read(make: Make, tmp_path: Path):
    program = make()
    names = [f"{number:04} {'x' * 200}" for number in range(1_500)]
    program.end(*names)
    with (
        closing(SpoolFollower(tmp_path)) as now,
        closing(SpoolFollower(tmp_path, from_begin=True)) as begin,
    ):
        found = _names(now)
        assert _names(begin) == names
        assert found == names[len(names) - len(found) :]
        assert len(found) < len(names) / 2


def test_a_segment_that_is_removed_while_it_is_read_is_read_to_its_end(make: Make, tmp_path: Path):
    program = make()
    with closing(SpoolFollower(tmp_path)) as follower:
        program.end("a")
        assert _names(follower) == ["a"]
        (first, *_) = program.segments()
        program.end("b")
        first.unlink()
        assert _names(follower) == ["b"]


def test_a_program_that_is_gone_is_let_go_of(make: Make, tmp_path: Path):
    program = make()
    with closing(SpoolFollower(tmp_path)) as follower:
        program.end("a")
        assert _names(follower) == ["a"]
        program.end("b")
        program.folder.rename(tmp_path / "elsewhere")
        assert (_names(follower), repr(follower)) == (
            ["b"],
            f"<SpoolFollower {tmp_path / FORMAT_FOLDER}, 0 processes>",
        )


def test_damage_is_passed_over(make: Make, tmp_path: Path):
    program = make()
    program.end("a", "bad", "c")
    (path, *_) = program.segments()
    data = path.read_bytes()
    at = data.index(b"bad")
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"BAD", at)
    with closing(SpoolFollower(tmp_path)) as follower:
        assert _names(follower) == ["a", "c"]


def test_nothing_of_the_spool_is_touched(make: Make, tmp_path: Path):
    program = make()
    program.end("a")
    before = {path: path.stat().st_mtime_ns for path in sorted(program.folder.iterdir())}
    with closing(SpoolFollower(tmp_path, from_begin=True)) as follower:
        assert _names(follower) == ["a"]
        after = {path: path.stat().st_mtime_ns for path in sorted(program.folder.iterdir())}
    assert before == after
