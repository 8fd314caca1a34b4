"""Schedule: what becomes of connections, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """What a proxy does while a phase lasts."""

    PASS = "pass"  # noqa: S105 - lets pass
    """Bytes go through."""
    REFUSE = "refuse"
    """Nobody listens; open connections are reset."""
    UNANSWERED = "unanswered"
    """No connection is ever completed: packets to the port are dropped."""
    RESET = "reset"
    """Connections are accepted and reset at once; open ones too."""
    BLACK_HOLE = "black hole"
    """What is sent vanishes, on new and open connections; those never come back."""
    HALF_OPEN = "half-open"
    """Connections that are open when the phase begins are dead without a word; new ones work."""
    STALL = "stall"
    """Nothing moves; what was held goes on when the phase is over."""
    SLOW = "slow"
    """Each piece is held for 300 ms, both ways."""
    DRIP = "drip"
    """Answers come one byte at a time, 20 a second."""
    DRIP_REQUEST = "drip request"
    """Requests are read slowly, 2 KiB at a time, 20 times a second."""
    CUT_REQUEST = "cut request"
    """A connection is reset in the middle of its first request."""
    CUT_ANSWER = "cut answer"
    """The request arrives whole; then the connection is reset instead of answered."""
    HALF_ANSWER = "half answer"
    """The connection is closed in the middle of the answer."""
    CLOSE_IDLE = "close idle"
    """A connection is closed in order after each answer, without a header that says so."""
    GARBAGE = "garbage"
    """Answers are noise."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One mode for some seconds; infinity: until the harness heals the network."""

    mode: Mode
    seconds: float = float("inf")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Phases one after the other, from the moment the workload begins; then all is well.

    Attributes:
        phases: in order.
        is_repeated: begin again after the last one.
    """

    phases: tuple[Phase, ...] = ()
    is_repeated: bool = False

    def at(self, elapsed_s: float) -> tuple[int, Mode]:
        """Which phase it is (each occurrence has its own number) and its mode; pass when all are over."""
        total = sum(phase.seconds for phase in self.phases)
        rounds = 0
        if self.is_repeated and self.phases:
            rounds = int(elapsed_s // total)
            elapsed_s -= rounds * total
        for number, phase in enumerate(self.phases):
            if elapsed_s < phase.seconds:
                return rounds * len(self.phases) + number, phase.mode
            elapsed_s -= phase.seconds
        return len(self.phases), Mode.PASS


def down(mode: Mode, seconds: float = float("inf"), *, after_s: float = 0.0) -> Schedule:
    """One fault that begins after a while and ends."""
    first = (Phase(Mode.PASS, after_s),) if after_s else ()
    return Schedule((*first, Phase(mode, seconds)))
