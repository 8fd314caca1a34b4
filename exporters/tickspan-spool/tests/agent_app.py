"""An application under test: records spans into the spool of its environment, then does what it is told.

`agent_app.py COUNT THEN`: THEN is "exit", "wait" (for the end of its input), "flush" (and exit), "reap" (tell
what `os.wait()` finds once an agent runs) or "pending" (begin a span that never ends, then wait).
"""

import json
import os
import sys
import time
from dataclasses import replace

from tickspan_spool.entries import StreamKey, varint
from tickspan_spool.liaison import AgentPlaces, holder
from tickspan_spool.spool import Spool, SpoolPlan


def text(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def span(name: str) -> bytes:
    ended = b"\x41" + time.time_ns().to_bytes(8, "little")
    return text(2, text(1, os.urandom(16)) + text(2, os.urandom(8)) + text(5, name.encode()) + ended)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def reaped() -> str:
    try:
        return f"found {os.wait()}"
    except ChildProcessError:
        return "nothing"


def main(count: int, then: str) -> None:
    taps = tuple(filter(None, os.environ.get("APP_TAPS", "").split(",")))
    viewed = tuple(filter(None, os.environ.get("APP_VIEWED_TAPS", "").split(",")))
    plan = replace(SpoolPlan.from_environment(os.environ), taps=taps, viewed_taps=viewed)
    spool = Spool(plan)
    service = text(1, text(1, b"service.name") + text(2, text(1, plan.service_name.encode())))
    stream = spool.stream(StreamKey("traces", service, text(1, b"app")))
    for number in range(count):
        stream.append(span(f"{plan.service_name} {number}"))
    if then == "pending":
        stream.pending(b"12345678", text(2, text(2, b"12345678") + text(5, b"open order")))
    places = AgentPlaces.of(plan.directory)
    if then == "reap":
        deadline = time.monotonic() + 10
        while holder(places) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        say(json.dumps({"os.wait()": reaped(), "agent": holder(places) is not None}))
    say("recorded")
    if then in {"wait", "pending"}:
        sys.stdin.read()
    if then == "flush":
        say(str(spool.force_flush(20)))
    spool.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
