"""A profile as a value: where threads were and what they did there, in samples.

Encoders, reports and comparisons take one; a file of it is compressed JSON that names functions, files and
lines and holds no data of the program.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

__all__ = ["SPACE", "WALL", "Frame", "FunctionWeights", "Link", "Profile", "Sample", "weights"]

_FORMAT: Final = 1
_LARGEST_BYTES: Final = 256 << 20
NS_PER_S: Final = 1e9
WALL: Final = "wall"
SPACE: Final = "space"


class Frame(NamedTuple):
    """A place in source.

    Attributes:
        name: qualified name of the function.
        file: as the interpreter knows it.
        line: that runs; 0 is unknown.
        first_line: of the function; 0 is unknown.
    """

    name: str
    file: str
    line: int = 0
    first_line: int = 0

    @property
    def function(self) -> str:
        """The function without the line: what shares are counted by."""
        return f"{self.name} ({self.file.rpartition('/')[2]}:{self.first_line})"


class Link(NamedTuple):
    """The span that was current when a sample was taken."""

    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One or more samples that are alike.

    Attributes:
        stack: index into `Profile.stacks`.
        thread: its name.
        state: what the thread did: one of `tickspan.profiler.states.State`.
        link: None where no span was current, or it is not known which.
        count: of samples; of blocks in a profile of space.
        wall_ns: that they stand for; bytes in a profile of space.
    """

    stack: int
    thread: str
    state: str
    link: Link | None
    count: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples of one process.

    Attributes:
        service: `service.name`.
        version: `service.version`, if any.
        pid: of the process.
        started_unix_ns: when sampling began.
        duration_ns: how long it went on.
        period_ns: between two passes over the threads, as intended.
        frames: each once.
        stacks: indices of frames, leaf first; each once.
        samples: each combination of stack, thread, state and link once.
        lost: samples that found no room in the tables.
        own_cpu_ns: CPU time of the sampler itself.
        kind: `wall` for what threads did, `space` for memory that is in use.
    """

    service: str
    version: str
    pid: int
    started_unix_ns: int
    duration_ns: int
    period_ns: int
    frames: tuple[Frame, ...]
    stacks: tuple[tuple[int, ...], ...]
    samples: tuple[Sample, ...]
    lost: int = 0
    own_cpu_ns: int = 0
    kind: str = WALL

    def __repr__(self) -> str:
        if self.kind == SPACE:
            size_mib = sum(one.wall_ns for one in self.samples) / (1 << 20)
            return f"<Profile {self.service} {size_mib:.1f} MiB in use, {len(self.stacks)} stacks>"
        return (
            f"<Profile {self.service} {sum(one.count for one in self.samples)} samples,"
            f" {len(self.stacks)} stacks, {self.duration_ns / NS_PER_S:.1f} s>"
        )

    def weight(self, sample: Sample) -> int:
        """What shares are made of: samples, or bytes in a profile of space."""
        return sample.wall_ns if self.kind == SPACE else sample.count

    def frames_of(self, sample: Sample) -> tuple[Frame, ...]:
        """The stack of a sample, leaf first."""
        return tuple(self.frames[index] for index in self.stacks[sample.stack])

    def dump(self) -> bytes:
        """As a file."""
        data: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        data["format"] = _FORMAT
        data["samples"] = [_row(one) for one in self.samples]
        return zlib.compress(json.dumps(data, separators=(",", ":")).encode(errors="replace"))

    @staticmethod
    def load(data: bytes) -> Profile:
        """Out of a file.

        Raises:
            ValueError: it is no such file, or one of another version.
        """
        try:
            unpacker = zlib.decompressobj()
            text = unpacker.decompress(data, _LARGEST_BYTES)
            given: Any = json.loads(text)
            _check_format(given.pop("format"))
            frames = tuple(Frame(*one) for one in given.pop("frames"))
            stacks = tuple(tuple(map(int, one)) for one in given.pop("stacks"))
            samples = tuple(_sample(one) for one in given.pop("samples"))
            profile = Profile(**given, frames=frames, stacks=stacks, samples=samples)
        except (zlib.error, KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
            raise ValueError(f"expected a profile that tickspan wrote: {error}") from None
        return _checked(profile)


def _check_format(number: object) -> None:
    if number != _FORMAT:
        raise ValueError(f"it is not of format {_FORMAT}")


def _row(sample: Sample) -> list[Any]:
    link = sample.link
    ids = None if link is None else [f"{link.trace_id:032x}", f"{link.span_id:016x}"]
    return [sample.stack, sample.thread, sample.state, ids, sample.count, sample.wall_ns]


def _sample(row: Any) -> Sample:
    stack, thread, state, link, count, wall_ns = row
    known = None if link is None else Link(int(link[0], 16), int(link[1], 16))
    return Sample(int(stack), str(thread), str(state), known, int(count), int(wall_ns))


def _checked(profile: Profile) -> Profile:
    most_frames, most_stacks = len(profile.frames), len(profile.stacks)
    if any(not 0 <= index < most_frames for stack in profile.stacks for index in stack):
        raise ValueError("expected stacks of frames that the profile has")
    if any(not 0 <= one.stack < most_stacks for one in profile.samples):
        raise ValueError("expected samples of stacks that the profile has")
    return profile


class FunctionWeights(NamedTuple):
    """What functions account for.

    Attributes:
        own: samples in which the function was the leaf.
        total: samples in which it was anywhere on the stack, recursion counted once.
        all: samples.
    """

    own: Counter[str]
    total: Counter[str]
    all: int


def weights(profile: Profile, states: Iterable[str] | None = None) -> FunctionWeights:
    """Samples by function, in these states or in all."""
    wanted = None if states is None else frozenset(states)
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    count = 0
    names = [frame.function for frame in profile.frames]
    for sample in profile.samples:
        if wanted is not None and sample.state not in wanted:
            continue
        stack = [names[index] for index in profile.stacks[sample.stack]]
        count += sample.count
        if stack:
            own[stack[0]] += sample.count
        for name in set(stack):
            total[name] += sample.count
    return FunctionWeights(own, total, count)
