"""Long runs against a real receiver: an outage at a steady rate, and a burst as fast as the program can.

`python scripts/soak.py` stops the receiver for ten minutes while a program records 500 spans a second. With
`--burst 1000000` a program records a million spans at once. Every span is decoded, its attributes compared.
Exit status 1: something was lost, doubled or changed, recovery took too long, or the program's memory grew.
"""

from __future__ import annotations

import argparse
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

WARM_S: Final = 3.0
"""Before an outage and after it."""
LONGEST_RECOVERY_S: Final = 60.0
MOST_GROWTH_MIB: Final = 8.0
"""Of the program's own memory. Mapped segments, which are the disk's cache, come on top: three at most."""
MOST_DOUBLED: Final = 512
"""One batch may have been under way when the receiver stopped."""
_STEP_S: Final = 1.0
_WARM_SPANS: Final = 1_000
_SETTLING_S: Final = 1.5
_PATIENCE_S: Final = 600.0
_QUIET_S: Final = 1.0
_SPAN: Final = "soak"
_COUNTER: Final = struct.Struct("<Q")


def attributes_of(number: int) -> dict[str, Any]:
    """Five attributes of three kinds, all from the number."""
    return {
        "soak.number": number,
        "soak.venue": f"venue-{number % 7}",
        "soak.price": number / 8,
        "soak.amount": number % 1_000,
        "soak.side": "buy" if number % 2 else "sell",
    }


# The program ------------------------------------------------------------------------------------------------


def record(seconds: float, rate: float, burst: int, ended: Path) -> None:
    """The application: says in a mapped file how many spans have ended, and ends when it is told to."""
    import tickspan

    tickspan.init(service_name="soak")
    from opentelemetry import trace

    tracer = trace.get_tracer("soak")
    with ended.open("r+b") as file, mmap.mmap(file.fileno(), 16) as shared:
        deadline, due, number = time.monotonic() + seconds, time.monotonic(), 0
        while number < burst if burst else due < deadline:
            with tracer.start_as_current_span(_SPAN, attributes=attributes_of(number)):
                pass
            number += 1
            shared[:8] = _COUNTER.pack(number)
            if not burst:
                due += 1 / rate
                time.sleep(max(0.0, due - time.monotonic()))
            elif number == _WARM_SPANS:
                time.sleep(_SETTLING_S)  # what it needs so far is its memory before the burst
        shared[8:] = _COUNTER.pack(1)
        sys.stdin.readline()


# What watches it --------------------------------------------------------------------------------------------


@dataclass
class Arrived:
    """Which numbers came how often. Fed from the receiver's threads, one at a time."""

    total: int = 0
    doubled: int = 0
    changed: int = 0
    _times: bytearray = field(default_factory=bytearray)

    def take(self, batch: Any) -> None:
        """Decode a batch of spans."""
        if batch.signal == "traces":
            for resource in batch.message.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._take_span(span)

    def _take_span(self, span: Any) -> None:
        if span.name != _SPAN:
            return
        given = {pair.key: _plain(pair.value) for pair in span.attributes}
        number = given.get("soak.number", -1)
        if not isinstance(number, int) or given != attributes_of(number):
            self.changed += 1
            return
        if number >= len(self._times):
            self._times.extend(bytes(number + 100_000 - len(self._times)))
        self.doubled += self._times[number] > 0
        self.total += not self._times[number]
        self._times[number] = 1


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


@dataclass(frozen=True, slots=True)
class Memory:
    """What of a process is in RAM."""

    resident_mib: float = 0.0
    own_mib: float = 0.0
    """Less what is mapped from files."""

    def __str__(self) -> str:
        return f"RSS {self.resident_mib:6.1f} MiB, {self.own_mib:6.1f} its own"

    @staticmethod
    def of(pid: int) -> Memory:
        """Of this process; nothing when it has ended."""
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return Memory()
        kib = {
            name: int(rest.split()[0])
            for name, _, rest in (line.partition(":") for line in lines)
            if "Rss" in name
        }
        return Memory(
            sum(kib.get(name, 0) for name in ("RssAnon", "RssFile", "RssShmem")) / 1024,
            kib.get("RssAnon", 0) / 1024,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one moment of a run."""

    at_s: float
    ended: int
    arrived: int
    memory: Memory

    def __str__(self) -> str:
        waiting = self.ended - self.arrived
        return f"{self.at_s:7.1f} s  {self.ended:9} ended  {waiting:9} waiting  {self.memory}"


@dataclass
class Watch:
    """One run: its program, its receiver, and what was seen every second."""

    process: subprocess.Popen[bytes]
    arrived: Arrived
    shared: mmap.mmap
    samples: list[Sample] = field(default_factory=list[Sample])
    began_s: float = field(default_factory=time.monotonic)
    _said_s: float = 0.0

    @property
    def ended(self) -> int:
        """Spans that the program has ended."""
        return _COUNTER.unpack(self.shared[:8])[0]

    @property
    def is_over(self) -> bool:
        """Whether the program has recorded its last span."""
        return bool(_COUNTER.unpack(self.shared[8:16])[0])

    def until(self, claim: Callable[[], bool], timeout_s: float) -> bool:
        """Take samples until it is true; False when time is up or the program has ended."""
        deadline = time.monotonic() + timeout_s
        while not claim():
            self.look()
            if time.monotonic() > deadline or self.process.poll() is not None:
                return claim()
            time.sleep(0.05)
        return True

    def look(self) -> None:
        """Take a sample if it is time, and print one line for every tenth of the run's length or so."""
        now_s = time.monotonic() - self.began_s
        if not self.samples or now_s >= self.samples[-1].at_s + _STEP_S:
            self.sample()
            if now_s >= self._said_s:
                self._said_s = max(now_s * 1.1, now_s + 2.0)
                print(self.samples[-1], flush=True)

    def sample(self) -> None:
        """Take a sample now."""
        now_s, memory = time.monotonic() - self.began_s, Memory.of(self.process.pid)
        self.samples.append(Sample(now_s, self.ended, self.arrived.total, memory))


@contextmanager
def running(folder: Path, port: int, arguments: list[str]) -> Generator[tuple[Watch, Path]]:
    """The program under watch."""
    ended = folder / "ended"
    ended.write_bytes(bytes(16))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))},
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "TICKSPAN_SPOOL_DIR": str(folder / "spool"),
        "TICKSPAN_SPOOL_MAX_BYTES": str(8 << 30),
        **({"TICKSPAN_PURE": "1"} if os.environ.get("TICKSPAN_PURE") == "1" else {}),
    }
    command = [sys.executable, __file__, "--record", str(ended), *arguments]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
    with ended.open("r+b") as file, mmap.mmap(file.fileno(), 16) as shared:
        try:
            yield Watch(process, Arrived(), shared), folder / "spool"
        finally:
            process.kill()
            process.wait()


def receiver(arrived: Arrived, port: int = 0) -> Any:
    """A receiver that feeds `arrived`; it does not listen yet."""
    from tickspan_spool.receiver import Receiver

    return Receiver(arrived.take, port=port)


def free_port() -> int:
    """A port that is free now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# The runs ---------------------------------------------------------------------------------------------------


def outage(seconds: float, rate: float) -> list[str]:
    """Record through an outage. Returns what went wrong."""
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        port = free_port()
        whole_s = WARM_S + seconds + LONGEST_RECOVERY_S
        arguments = ["--seconds", str(whole_s), "--rate", str(rate)]
        with running(Path(name), port, arguments) as (watch, spool):
            with receiver(watch.arrived, port):
                if not watch.until(lambda: watch.arrived.total > 0, _PATIENCE_S):
                    return ["nothing arrived before the outage"]
                watch.until(lambda: False, WARM_S)
            began = len(watch.samples)
            print(f"the receiver is gone for {seconds:g} s", flush=True)
            watch.until(lambda: False, seconds)
            with receiver(watch.arrived, port):
                back_s, owed = time.monotonic(), watch.ended
                print(f"the receiver is back; {owed - watch.arrived.total} spans wait", flush=True)
                has_recovered = watch.until(lambda: watch.arrived.total >= owed, _PATIENCE_S)
                recovery_s = time.monotonic() - back_s
                told = f"recovered in {recovery_s:.1f} s" if has_recovered else "did not recover"
                print(told, flush=True)
                watch.until(lambda: False, WARM_S)
                finish(watch, spool)
            problems = verdict(watch, began)
        if not has_recovered or recovery_s > LONGEST_RECOVERY_S:
            problems.append(f"{told}, {LONGEST_RECOVERY_S:g} s allowed")
        return problems


def burst(spans: int) -> list[str]:
    """Record as fast as the program can. Returns what went wrong."""
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        port = free_port()
        with running(Path(name), port, ["--burst", str(spans)]) as (watch, spool):
            with receiver(watch.arrived, port):
                watch.until(lambda: watch.ended >= _WARM_SPANS, _PATIENCE_S)
                watch.until(lambda: False, _SETTLING_S / 2)
                watch.sample()
                first = len(watch.samples)
                watch.until(lambda: watch.ended > _WARM_SPANS, _PATIENCE_S)
                began_s = time.monotonic()
                watch.until(lambda: watch.is_over, _PATIENCE_S)
                print(f"recorded at {spans / (time.monotonic() - began_s + 1e-9):,.0f} spans/s", flush=True)
                watch.until(lambda: watch.arrived.total >= spans, _PATIENCE_S)
                print(f"all here after {time.monotonic() - began_s:.1f} s", flush=True)
                finish(watch, spool)
            return verdict(watch, max(0, first - 1))


def finish(watch: Watch, spool: Path) -> None:
    """End the program, and its agent once all is delivered."""
    from tickspan_spool import agent

    watch.sample()
    watch.process.terminate()
    watch.process.wait()
    if not agent.drain(spool, _PATIENCE_S):
        print("the spool did not drain", flush=True)
    threading.Event().wait(_QUIET_S)  # for what comes twice
    agent.stop(spool)


def verdict(watch: Watch, since: int) -> list[str]:
    """Print what came of it; what is wrong with it."""
    base, *later = (sample.memory for sample in watch.samples[since:])
    growth_mib = max(memory.own_mib for memory in later) - base.own_mib
    most_resident_mib = max(memory.resident_mib for memory in later)
    lost = max(0, watch.ended - watch.arrived.total)  # the last may have ended just before it was counted
    print(
        f"ended {watch.ended}, lost {lost}, doubled {watch.arrived.doubled}, changed {watch.arrived.changed}"
        f"; memory {growth_mib:+.1f} MiB its own, RSS {base.resident_mib:.1f} MiB and then at most "
        f"{most_resident_mib:.1f} MiB",
        flush=True,
    )
    findings = {
        f"lost {lost}": lost > 0,
        f"doubled {watch.arrived.doubled}": watch.arrived.doubled > MOST_DOUBLED,
        f"changed {watch.arrived.changed}": watch.arrived.changed > 0,
        f"memory grew by {growth_mib:.1f} MiB, {MOST_GROWTH_MIB:g} allowed": growth_mib > MOST_GROWTH_MIB,
    }
    return [told for told, is_so in findings.items() if is_so]


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of the outage")
    parser.add_argument("--rate", type=float, default=500.0, help="spans per second meanwhile")
    parser.add_argument("--burst", type=int, default=0, help="record so many spans at once instead")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record is not None:
        record(options.seconds, options.rate, options.burst, options.record)
        return 0
    problems = burst(options.burst) if options.burst else outage(options.seconds, options.rate)
    print("FAILED: " + "; ".join(problems) if problems else "passed", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
