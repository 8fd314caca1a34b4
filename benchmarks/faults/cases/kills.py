"""Kills at random moments from the seed, at each step of the protocol, and of the helper process."""

from __future__ import annotations

from typing import Final

from ..case import BATCH, Case, Damage, Outrage, Rules  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_KILLED: Final = Rules(status=-9, judges=("traces", "logs"), doubled=BATCH, may_wait=True)
_FAST: Final = {"seconds": 5.0, "rate": 400.0}
_OURS: Final = ("ours",)
_LOSES_SOME: Final = frozenset({Damage.TRUNCATED, Damage.EMPTIED, Damage.NOISE_BEHIND, Damage.FLIPPED})


def _damaged() -> tuple[Case, ...]:
    return tuple(
        Case(
            f"killed, files damaged: {damage}",
            "kill",
            "end by signal",
            {"signal": "SIGKILL", "seconds": 1.5},
            link=down(Mode.REFUSE, after_s=1.0),
            damage=damage,
            restarts=True,
            rules=Rules(
                status=-9,
                judges=("traces", "logs"),
                may_wait=True,
                lost=_lost(damage),
                doubled=BATCH,
                is_silent=damage not in _LOSES_SOME,
                has_ledger=damage not in _LOSES_SOME,
            ),
            only=_OURS,
            is_quick=damage is Damage.FLIPPED,
        )
        for damage in Damage
        if damage is not Damage.NONE
    )


def _lost(damage: Damage) -> int:
    """What the damage itself took: one record for a flipped bit, all for an emptied file."""
    if damage is Damage.FLIPPED:
        return 1
    return 1000 if damage in (Damage.TRUNCATED, Damage.EMPTIED) else 0


CASES: Final = (
    *(
        Case(
            f"SIGKILL at random moment {number}",
            "kill",
            settings=_FAST,
            outrage=Outrage.KILL,
            rules=_KILLED,
            is_quick=number == 1,
        )
        for number in range(1, 5)
    ),
    Case(
        "SIGKILL at a random moment, nobody listens",
        "kill",
        settings=_FAST,
        link=down(Mode.REFUSE),
        outrage=Outrage.KILL,
        rules=_KILLED,
    ),
    Case(
        "SIGKILL at a random moment, nobody listens, then a restart",
        "kill",
        settings=_FAST,
        link=down(Mode.REFUSE),
        outrage=Outrage.KILL,
        restarts=True,
        rules=_KILLED,
    ),
    Case(
        "death at each step that touches files",
        "kill",
        act="burst",
        settings={"count": 10, "rest": 0.2},
        outrage=Outrage.EACH_STEP,
        rules=Rules(judges=("traces",), doubled=BATCH, may_wait=True),
        patience_s=10.0,
        only=_OURS,
    ),
    Case(
        "death at each step that touches files, nobody listens",
        "kill",
        act="burst",
        settings={"count": 10, "rest": 0.2},
        link=down(Mode.REFUSE, 4.0),
        outrage=Outrage.EACH_STEP,
        rules=Rules(judges=("traces",), doubled=BATCH, may_wait=True),
        patience_s=15.0,
        only=_OURS,
    ),
    Case(
        "the agent is killed again and again",
        "kill",
        settings={"seconds": 3.5},
        outrage=Outrage.KILL_AGENT,
        rules=Rules(doubled=4 * BATCH),
        only=_OURS,
        is_quick=True,
    ),
    Case(
        "the agent is stopped for a while",
        "kill",
        settings={"seconds": 3.5},
        outrage=Outrage.STOP_AGENT,
        rules=Rules(doubled=4 * BATCH),
        only=_OURS,
    ),
    *_damaged(),
)
