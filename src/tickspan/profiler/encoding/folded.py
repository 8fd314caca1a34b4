"""Folded stacks: one line for each stack, root first, with a count; what flame graph tools read.

In a profile of space the count is of bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from tickspan.analysis.profiles import Frame, Profile

__all__ = ["folded", "label"]

_SEPARATORS: Final = str.maketrans({";": ":", "\n": " ", "\r": " "})


def label(frame: Frame) -> str:
    """A frame on one line: `Engine.on_tick (engine.py:42)`."""
    return f"{frame.name} ({frame.file.rpartition('/')[2]}:{frame.line})".translate(_SEPARATORS)


def folded(profile: Profile, *, with_threads: bool = True) -> str:
    """The profile as text, stacks sorted; the thread is the root unless it is not wanted."""
    counts: Counter[str] = Counter()
    labels = [label(frame) for frame in profile.frames]
    for sample in profile.samples:
        stack = [labels[index] for index in reversed(profile.stacks[sample.stack])]
        root = [sample.thread.translate(_SEPARATORS)] if with_threads else []
        counts[";".join([*root, *(stack or ["[no room]"])])] += profile.weight(sample)
    return "".join(f"{stack} {count}\n" for stack, count in sorted(counts.items()))
