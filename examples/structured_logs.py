"""Logs with fields, in files that are written for the program, and found again by what they say.

Run `python examples/structured_logs.py`. The program only records; the agent of tickspan writes the files, as
`tickspan run` has it too. They are in a temporary folder here: `logs.directory` names one of yours.
"""

import logging
import os
import tempfile
import time
from pathlib import Path

from tickspan_spool import agent

import tickspan
from tickspan import logs
from tickspan.logs import Category, get_logger, log_context

WRITTEN_S = 20.0
LARGEST = 500
ORDERS = (("AAPL", 100), ("MSFT", 50), ("TSLA", 900))

logger = get_logger("desk.orders", Category.TRADING)
risk = get_logger("desk.risk", Category.RISK)


def trade() -> None:
    """Three orders of one user, one of which is refused."""
    with log_context(user_id="ada", desk="eu"):
        for number, (symbol, quantity) in enumerate(ORDERS, 1):
            with log_context(order_id=f"o-{number}"):
                if quantity > LARGEST:
                    risk.warning("refused: too large", symbol=symbol, quantity=quantity)
                else:
                    logger.info("sent", symbol=symbol, quantity=quantity, api_key="never recorded")


def is_written(files: Path) -> bool:
    """Whether the agent has written what the program logged."""
    return files.is_dir() and len(logs.search("user_id=ada", directory=files)) == len(ORDERS)


def main() -> None:
    """Log, wait for the agent, and search."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        spool = os.environ.setdefault("TICKSPAN_SPOOL_DIR", str(Path(folder, "spool")))
        files = Path(folder, "logs")
        logging.getLogger().addHandler(logging.NullHandler())  # nothing on the terminal
        tickspan.init({"logs": {"directory": str(files), "console": False}}, service_name="desk")
        trade()
        agent.drain(spool, WRITTEN_S)
        until_s = time.monotonic() + WRITTEN_S
        while time.monotonic() < until_s and not is_written(files):
            time.sleep(0.02)
        for hit in logs.search("user_id=ada", directory=files):
            print(hit.level, hit.message, dict(hit.fields))
        refused = logs.search("level>=WARNING quantity>500", directory=files)
        print("refused for size:", [hit.fields["symbol"] for hit in refused])
        agent.stop(spool)


if __name__ == "__main__":
    main()
