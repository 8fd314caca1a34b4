"""Tables of the frames and stacks that samples were taken of: bounded, and each entry made when first seen.

A code object is known by its identity: its own hash reads all of its bytecode. The tables keep the code
objects that they know, so that no other gets the identity of one. Numbers are given once: after `forget`
those that are left mean what they meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from types import CodeType
from typing import Final, NamedTuple, TypeAlias

from tickspan.analysis.profiles import Frame
from tickspan.profiler.instructions import Instruction, instruction_at, line_at

__all__ = ["NOWHERE", "Compact", "Key", "Tables"]

Key: TypeAlias = tuple[int, ...]
"""`id` of a code object and offset in turn, leaf first."""

NOWHERE: Final = 0
"""The stack of samples that found no room: it has no frames."""
_EMPTY: Final[Key] = ()
_CROWDED: Final = 0.75


class Compact(NamedTuple):
    """Some stacks, numbered anew from 0 without gaps.

    Attributes:
        frames: that they have, each once.
        stacks: as places in `frames`, leaf first; the first is `NOWHERE`.
        places: of each stack in `stacks`, by its number in the tables.
    """

    frames: tuple[Frame, ...]
    stacks: tuple[tuple[int, ...], ...]
    places: dict[int, int]


class Tables:
    """For one thread that writes; readers see a state as of some moment."""

    def __init__(self, most_frames: int = 20_000, most_stacks: int = 20_000) -> None:
        self._most_frames = most_frames
        self._most_stacks = most_stacks
        self._frame_ids: dict[tuple[int, int], int] = {}
        self._codes: dict[int, tuple[CodeType, int]] = {}
        self._instructions: dict[int, Instruction] = {}
        self._stack_ids: dict[Key, int] = {_EMPTY: NOWHERE}
        self._frame_numbers = count()
        self._stack_numbers = count(NOWHERE + 1)
        self.frames: dict[int, Frame] = {}
        self.stacks: dict[int, tuple[int, ...]] = {NOWHERE: ()}
        self.overflowed = 0
        """Stacks that found no room, once for each time they were seen."""

    def __repr__(self) -> str:
        return f"<Tables {len(self.frames)} frames, {len(self.stacks) - 1} stacks, {self.overflowed} lost>"

    @property
    def is_crowded(self) -> bool:
        """Whether it is time to forget what nobody refers to."""
        return (
            len(self.frames) > _CROWDED * self._most_frames or len(self.stacks) > _CROWDED * self._most_stacks
        )

    def stack(self, key: Key, codes: Sequence[CodeType]) -> int:
        """The number of a stack; `NOWHERE` when the tables are full."""
        known = self._stack_ids.get(key)
        if known is not None:
            return known
        if len(self.stacks) >= self._most_stacks or len(self.frames) + len(codes) > self._most_frames:
            self.overflowed += 1
            return NOWHERE
        frames = tuple(self._frame(code, offset) for code, offset in zip(codes, key[1::2], strict=True))
        number = self._stack_ids[key] = next(self._stack_numbers)
        self.stacks[number] = frames
        return number

    def instruction(self, frame: int) -> Instruction:
        """What a frame does where it is; read from its bytecode when first asked for."""
        known = self._instructions.get(frame)
        if known is None:
            known = self._instructions[frame] = instruction_at(*self._codes[frame])
        return known

    def code(self, frame: int) -> CodeType:
        """The code object of a frame."""
        return self._codes[frame][0]

    def names(self, stack: int) -> tuple[Frame, ...]:
        """The frames of a stack, leaf first; none of one that is forgotten."""
        frames = self.frames
        return tuple(frames[number] for number in self.stacks.get(stack, ()) if number in frames)

    def forget(self, used: Iterable[int]) -> None:
        """Forget all stacks but these, and the frames that none of them has. For the thread that writes."""
        kept = {NOWHERE, *used}
        stacks = {number: frames for number, frames in self.stacks.items() if number in kept}
        needed = {frame for frames in stacks.values() for frame in frames}
        self._stack_ids = {key: number for key, number in self._stack_ids.items() if number in stacks}
        self._frame_ids = {key: number for key, number in self._frame_ids.items() if number in needed}
        self._instructions = {frame: one for frame, one in self._instructions.items() if frame in needed}
        # New ones in place of the old: whoever reads them just now goes on with what was.
        self.stacks = stacks
        self.frames = {number: frame for number, frame in self.frames.items() if number in needed}
        self._codes = {number: code for number, code in self._codes.items() if number in needed}

    def compact(self, used: Iterable[int]) -> Compact:
        """These stacks as the tables of a profile."""
        frames: dict[Frame, int] = {}
        stacks: dict[tuple[int, ...], int] = {(): 0}
        places: dict[int, int] = {}
        for number in used:
            names = self.names(number)
            stack = tuple(frames.setdefault(frame, len(frames)) for frame in names)
            places[number] = stacks.setdefault(stack, len(stacks))
        return Compact(tuple(frames), tuple(stacks), places)

    def _frame(self, code: CodeType, offset: int) -> int:
        key = (id(code), offset)
        known = self._frame_ids.get(key)
        if known is None:
            known = self._frame_ids[key] = next(self._frame_numbers)
            self._codes[known] = (code, offset)
            self.frames[known] = Frame(
                code.co_qualname, code.co_filename, line_at(code, offset), code.co_firstlineno
            )
        return known
