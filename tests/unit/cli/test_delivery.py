"""What doctor tells of recording and delivery: pure findings, and a real spool."""

from __future__ import annotations

from pathlib import Path

import pytest
from tickspan_spool import twins
from tickspan_spool.agent import AgentStatus
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import Destination
from tickspan_spool.spool import SpoolPlan
from tickspan_spool.viewers import Viewer

from tickspan.cli.delivery import (
    agent_finding,
    implementation_finding,
    ledger_findings,
    propagation_finding,
    records_finding,
    spool_finding,
)
from tickspan.cli.finding import Finding
from tickspan.cli.round_trip import grpc_round_trip
from tickspan.config import PropagateSettings

TO_A_COLLECTOR = (Destination("traces", "http://127.0.0.1:4318/v1/traces"),)


def status(**counts: Ledger) -> AgentStatus:
    return AgentStatus(
        directory="/spool",
        agents=(),
        processes=(),
        signals=dict(counts),  # pyright: ignore[reportArgumentType] - the names are signals
        oldest_age_s=0.0,
        size_bytes=0,
        dead_letters=0,
    )


def test_compiled_twins_are_told_in_one_word() -> None:
    chosen = [twins.Twin("tickspan.recording.wire", pytest, is_compiled=True, reason="")]
    assert implementation_finding(chosen) == Finding("recording", is_well=True, detail="compiled")


def test_an_interpreted_module_is_told_with_its_reason() -> None:
    chosen = [twins.Twin("tickspan.recording.wire", pytest, is_compiled=False, reason="TICKSPAN_PURE=1")]
    assert implementation_finding(chosen) == Finding(
        "recording", None, "interpreted, at four times the cost: TICKSPAN_PURE=1"
    )


def test_a_spool_that_does_not_exist_yet_is_well_where_it_can_be_made(tmp_path: Path) -> None:
    plan = SpoolPlan(directory=tmp_path / "deep" / "spool")
    assert spool_finding(plan) == Finding(
        "spool", is_well=True, detail=f"{tmp_path}/deep/spool, at most 512 MiB"
    )


def test_a_spool_below_a_file_is_ill_and_the_finding_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = spool_finding(SpoolPlan(directory=tmp_path / "file" / "spool"))
    assert (finding.is_well, finding.detail.endswith("set TICKSPAN_SPOOL_DIR")) == (False, True)


def test_without_a_destination_no_agent_is_needed() -> None:
    plan = SpoolPlan(directory=Path("/spool"))
    assert agent_finding(plan, status()).detail.startswith("not needed")


@pytest.mark.parametrize(
    ("mode", "is_well"), [("auto", None), ("thread", None), ("external", False), ("off", False)]
)
def test_records_that_wait_while_nobody_is_to_send_them_are_a_failure(
    mode: str, is_well: bool | None
) -> None:
    plan = SpoolPlan(directory=Path("/spool"), destinations=TO_A_COLLECTOR, agent=mode)  # pyright: ignore[reportArgumentType]
    waiting = status(traces=Ledger(ended=5, in_spool=5))
    assert agent_finding(plan, waiting).is_well is is_well


def test_a_loss_is_a_failure_with_its_reasons() -> None:
    counts = Ledger(ended=10, delivered=7, in_spool=1, dropped={Reason.REJECTED: 2})
    assert list(ledger_findings(status(traces=counts))) == [
        Finding(
            "ledger of traces",
            is_well=False,
            detail="10 ended, 7 delivered, 1 wait, lost: 2 rejected",
        )
    ]


def test_what_is_balanced_without_a_loss_is_well() -> None:
    assert list(ledger_findings(status(logs=Ledger(ended=3, delivered=3)))) == [
        Finding("ledger of logs", is_well=True, detail="3 ended, 3 delivered, 0 wait, none lost")
    ]


def test_what_no_destination_wanted_is_no_loss() -> None:
    counts = Ledger(ended=3, dropped={Reason.FILTERED: 3})
    assert list(ledger_findings(status(logs=counts))) == [
        Finding(
            "ledger of logs",
            is_well=True,
            detail="3 ended, 0 delivered, 0 wait, 3 for no destination, none lost",
        )
    ]


@pytest.mark.parametrize(
    ("destinations", "looking_on", "expected"),
    [
        (TO_A_COLLECTOR, [], "sent to http://127.0.0.1:4318/v1/traces"),
        ((), ["http://127.0.0.1:8321/"], "shown on http://127.0.0.1:8321/"),
        (
            TO_A_COLLECTOR,
            ["http://127.0.0.1:8322/", "http://127.0.0.1:8321/"],
            (
                "sent to http://127.0.0.1:4318/v1/traces and shown on "
                "http://127.0.0.1:8321/, http://127.0.0.1:8322/"
            ),
        ),
    ],
)
def test_who_sees_the_records_is_told(
    destinations: tuple[Destination, ...], looking_on: list[str], expected: str
) -> None:
    pages = [Viewer("0123456789abcdef", "http://127.0.0.1:1", page) for page in looking_on]
    plan = SpoolPlan(directory=Path("/spool"), destinations=destinations)
    assert records_finding(plan, pages) == Finding("records", is_well=True, detail=expected)


def test_records_that_nobody_sees_are_told_with_what_to_do() -> None:
    finding = records_finding(SpoolPlan(directory=Path("/spool")), [])
    assert (finding.is_well, "'tickspan desk' shows them" in finding.detail) == (None, True)


@pytest.mark.integration
def test_a_grpc_endpoint_that_is_none_is_an_answer() -> None:
    environ = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    answer = grpc_round_trip("traces", environ, 2.0)
    assert (answer.is_delivered, answer.explanation.startswith("http://127.0.0.1:9")) == (False, True)


def test_an_entry_that_is_no_host_is_told() -> None:
    finding = propagation_finding(PropagateSettings(hosts=("a b",)))
    assert (finding.is_well, "a b" in finding.detail) == (False, True)


def test_hosts_that_get_trace_headers_are_named() -> None:
    finding = propagation_finding(PropagateSettings(hosts=("example.com",)))
    assert finding == Finding("propagation", None, "trace headers to example.com")
