"""Ways to end: `python ends.py WAY` records and then ends in this way."""

import atexit
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

if "before" in sys.argv:  # telemetry's own handler comes after this one, and so runs before it
    atexit.register(lambda: witness.everything(5))

import witness


def falls_off_the_end():
    witness.end_of_main()


def raises():
    witness.end_of_main()
    raise RuntimeError("the application's own")


def exits_with_3():
    witness.end_of_main()
    sys.exit(3)


def exits_at_once_with_4():
    witness.end_of_main()
    os._exit(4)


def is_signalled():
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # inherited from `nohup`
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    witness.end_of_main()
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    time.sleep(30)


def handles_sigterm():
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(7))
    is_signalled()


def becomes_another():
    witness.end_of_main()
    os.execv(sys.executable, [sys.executable, __file__, "falls_off_the_end"])


def exits_in_a_thread():
    thread = threading.Thread(target=_record_and_exit)
    thread.start()
    thread.join()
    witness.spans(5)


def _record_and_exit():
    witness.spans(5)
    sys.exit(9)  # ends this thread alone


def exits_at_once_in_a_thread():
    thread = threading.Thread(target=lambda: (witness.spans(5), os._exit(5)))
    thread.start()
    thread.join()


def leaves_daemon_threads():
    """They record until the interpreter is gone."""
    for _ in range(3):
        threading.Thread(target=_record_forever, daemon=True).start()
    time.sleep(0.2)


def _record_forever():
    while True:
        witness.spans(1)


def leaves_threads():
    """The interpreter waits for them."""
    threading.Thread(target=lambda: (time.sleep(0.1), witness.everything(10))).start()


def records_at_exit():
    atexit.register(lambda: witness.everything(5))


def shuts_down_first():
    from opentelemetry import _logs, metrics, trace

    providers: list[Any] = [
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    ]
    for provider in providers:
        provider.shutdown()


def waits_to_be_killed():
    """Records until somebody ends it; the reader of its notes says when."""
    while True:
        witness.everything(1)
        time.sleep(0.001)


if __name__ == "__main__":
    witness.start()
    witness.everything(10)
    assert Path(__file__).is_file()
    globals()[sys.argv[1]]()
