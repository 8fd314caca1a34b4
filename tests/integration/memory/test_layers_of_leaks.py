"""Who has the memory that grows: real allocations of Python, the C library, files; the time is simulated."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="others do not tell what is resident without a file"),
]

PROGRAM = """
import ctypes, mmap, os, sys, tempfile
from tickspan.analysis.growth import BUCKETS
from tickspan.memory.leak import LeakWatch
from tickspan.recording.usage import Looks

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.realloc.restype = ctypes.c_void_p
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

class Few(Looks):
    def note(self, at_ns, resident_bytes):
        pass

def taken(size):
    at = libc.malloc(size)
    ctypes.memset(at, 1, size)
    return at

{grow}

now_s = [0.0]
watch = LeakWatch(4 << 30, monotonic=lambda: now_s[0], looks=Few())
for minute in range(3 * BUCKETS + 1):
    grow(minute)
    for _ in range(3):
        now_s[0] += 20
        watch.look()
        watch.inquest.join(30)
report = watch.report()
print(report.state.value, report.layer and report.layer.value, watch.census and watch.census.owner)
"""

OBJECTS = """
class Book:
    def __init__(self):
        self.orders = {}

book = Book()

def grow(minute):
    for number in range(5_000):
        book.orders[minute, number] = [number]
"""
BUFFERS = """
kept = []

def grow(minute):
    kept.extend(bytearray(100_000) for _ in range(10))
"""
NATIVE = """
def grow(minute):
    for _ in range(16):
        taken(65_000)
"""
HOLES = """
def grow(minute):
    size = 2_000 + 64 * minute  # what is freed is too small for what comes next
    for at in [taken(size) for _ in range(150)]:
        libc.realloc(at, 24)
"""
FILES = """
file = tempfile.TemporaryFile()
kept = []

def grow(minute):
    os.ftruncate(file.fileno(), (minute + 1) << 20)
    segment = mmap.mmap(file.fileno(), 1 << 20, offset=minute << 20)
    segment[:] = bytes(1 << 20)
    kept.append(segment)
"""
NOTHING = """
def grow(minute):
    list(range(100_000))
"""


@pytest.mark.parametrize(
    ("grow", "told"),
    [
        pytest.param(OBJECTS, ("leaking", "python", "__main__.book.orders: dict "), id="objects"),
        pytest.param(BUFFERS, ("leaking", "python", "__main__.kept: list "), id="buffers"),
        pytest.param(NATIVE, ("leaking", "native", "None"), id="malloc"),
        pytest.param(HOLES, ("leaking", "fragmentation", "None"), id="holes"),
        pytest.param(FILES, ("stable", "mapped", "None"), id="files"),
        pytest.param(NOTHING, ("stable", "None", "None"), id="nothing"),
    ],
)
def test_the_layer_is_who_has_the_memory(
    run_python: Callable[..., Any], grow: str, told: tuple[str, str, str]
) -> None:
    ended = run_python(PROGRAM.replace("{grow}", grow))
    state, layer, owner = ended.stdout.rstrip("\n").split(" ", 2)
    assert (state, layer, owner[: len(told[2])], ended.stderr) == (*told, "")
