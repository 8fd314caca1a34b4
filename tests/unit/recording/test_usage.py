"""What the kernel says of the process's memory, and how it moved."""

from __future__ import annotations

from pathlib import Path

from tickspan.recording.usage import Looks, Usage, UsageReader, usage_of

MIB = 1 << 20


def test_memory_is_told_by_what_it_is() -> None:
    assert usage_of(b"5000 3000 1000 500 0 700 0\n", 4_096) == Usage(
        3_000 * 4_096, 2_000 * 4_096, 1_000 * 4_096
    )


def test_a_text_that_is_none_of_the_kernels_tells_nothing() -> None:
    assert [usage_of(text, 4_096) for text in (b"", b"1 2", b"a b c d")] == [None, None, None]


def test_this_process_is_read() -> None:
    usage = UsageReader().read()
    assert usage is not None
    assert usage.resident == usage.anonymous + usage.mapped > MIB


def test_nothing_is_told_where_the_kernel_does_not(tmp_path: Path) -> None:
    assert UsageReader(tmp_path).read() is None


def test_a_move_is_told_from_8_mib_on() -> None:
    looks = Looks()
    moved: list[int] = []
    for at_ns, resident in (
        (10, 100 * MIB),
        (20, 107 * MIB),
        (30, 109 * MIB),
        (40, 110 * MIB),
        (50, 100 * MIB),
    ):
        looks.note(at_ns, resident)
        moved.append(looks.last_move_ns)
    assert moved == [0, 0, 30, 30, 50]


def test_growth_is_counted_from_the_last_look_before() -> None:
    looks = Looks()
    for at_ns, resident in ((10, 100), (20, 150), (30, 400)):
        looks.note(at_ns, resident)
    assert [looks.moved_since(start_ns) for start_ns in (5, 10, 19, 20, 35)] == [None, 300, 300, 250, 0]


def test_a_clock_that_is_set_back_begins_anew() -> None:
    looks = Looks()
    looks.note(100, 1)
    looks.note(50, 2)
    assert (looks.moved_since(60), looks.moved_since(40)) == (0, None)


def test_old_looks_are_forgotten() -> None:
    looks = Looks()
    for at_ns in range(1_000):
        looks.note(at_ns, at_ns)
    assert (repr(looks), looks.moved_since(399), looks.moved_since(400)) == ("<Looks 600 kept>", None, 599)
