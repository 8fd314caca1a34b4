"""A bot that measures orders: one word on its input says how fast its venue is, from then on.

"fast" and "slow" are told to the input; the end of the input ends the bot.
"""

from __future__ import annotations

import sys
import threading

from opentelemetry import metrics

import tickspan


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    tickspan.init()
    durations = metrics.get_meter("bot").create_histogram("trading.order.duration", "s")
    venue = {"trading.venue.name": "binance"}
    seconds = 0.002
    ended = threading.Event()

    def trade() -> None:
        while not ended.wait(0.05):
            durations.record(seconds, venue)

    trading = threading.Thread(target=trade)
    trading.start()
    say("ready")
    for line in sys.stdin:
        seconds = 0.5 if line.strip() == "slow" else 0.002
        say(line.strip())
    ended.set()
    trading.join()


if __name__ == "__main__":
    main()
