"""A bot that is killed while its order is open: its next run goes on with the order's trace."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tickspan_spool import agent

from tickspan.testing.otlp import OtlpServer
from tickspan.testing.reconciliation import Reconciliation, reconcile
from tickspan.testing.venue import Behaviour, VenueSimulator

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).parent / "programs" / "restarted.py"


def test_a_fill_after_a_restart_is_in_the_trace_of_the_order_of_the_killed_process(
    clean_environment: Mapping[str, str], tmp_path: Path
) -> None:
    behaviour = Behaviour(partials=(0.4, 0.6))
    with VenueSimulator(seed=5, behaviour=behaviour) as venue, OtlpServer() as server:
        words = [sys.executable, "-m", "tickspan", "run", "--", sys.executable, str(PROGRAM)]
        config = json.dumps({**venue.connect.ccxt_config(), "enableRateLimit": False})
        environment = {
            **clean_environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
            "OTEL_SERVICE_NAME": "bot",
            "TICKSPAN_SPOOL_DIR": str(tmp_path / "spool"),
        }
        first = subprocess.Popen(
            [*words, config, "place"], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert first.stdout is not None
        client_id = first.stdout.readline().strip()
        first.kill()
        first.communicate()
        second = subprocess.Popen(
            [*words, config, "watch"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        _wait_for(lambda: any(one.path.startswith("userDataStream.subscribe") for one in venue.requests))
        venue.fill(client_id)
        printed, _ = second.communicate(timeout=60)
        agent.drain(tmp_path / "spool", 20)
        agent.stop(tmp_path / "spool", 20)
        truth, spans = venue.truth(), server.spans()
    assert (second.returncode, printed) == (0, "")
    assert [order.client_id for order in truth.orders] == [client_id]
    assert reconcile(truth, spans) == Reconciliation(1, 1, 2, 2, 0)
    told = [span for span in spans if span.name.startswith("trading.order.")]
    assert len({str(span.resource["service.instance.id"]) for span in told}) == 2


def _wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s, "it took too long"
        time.sleep(0.05)
