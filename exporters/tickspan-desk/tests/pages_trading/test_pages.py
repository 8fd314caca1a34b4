"""Pages of orders, operations, logs and searches, over a store that was told what a demo's bots told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from desk_visitor import Visitor
from order_words import EPOCH_NS, log, named, one_order, span

from tickspan.received import Telemetry
from tickspan.semconv import alerts, common, findings, trading

FILLED = "x-TKT5PX2F67ab2168af46f838a62a07"
UNKNOWN = "x-TKT5PX2Ff7ca67dca552a973a4e2fe"
REJECTED = "x-TKT5PX2F81aacae5ecc30d3b22bb86"
STALE = "x-TKT5PX2Ffffa65ce559e0d47d4a6e5"
THROTTLED = "x-TKT5PX2F156f6e476761b6126208d4"
DEMO = "since=1795733360000000000&until=1795733420000000000"
"""When the demo played."""
THEN = f"since={EPOCH_NS - 60_000_000_000}&until={EPOCH_NS + 3_600_000_000_000}"
"""When what tests tell was."""
HOSTILE = "<script>alert(1)</script>{{7*7}}\"'&\u202e"

DeskOf = Callable[..., Visitor]


def test_orders_of_a_demo_are_listed_newest_first(demo_desk: Visitor) -> None:
    told = demo_desk.get(f"/api/orders?{DEMO}").json
    assert [(row["order_id"], row["status"], row["tone"]) for row in told["rows"][1:]] == [
        (STALE, "new", "info"),
        (THROTTLED, "new", "info"),
        (REJECTED, "rejected", "bad"),
        ("x-TKT5PX2F6efdddb2349a07aab21d5e", "new", "info"),
        (UNKNOWN, "unknown", "bad"),
        ("x-TKT5PX2Fbf85263545b04cf42b1ce2", "new", "info"),
        ("x-TKT5PX2F9035252171d7514f828c7b", "filled", "ok"),
        (FILLED, "filled", "ok"),
    ]
    facts = {name: value for name, value in told.items() if name != "rows"}
    assert facts == {
        "found": 9,
        "filled": 2,
        "rejected": 1,
        "unknown": 1,
        "tick_to_ack_ns": facts["tick_to_ack_ns"],
        "measured": 3,
        "text": "",
        "has_any": True,
        "counted_up_to": 2000,
    }
    durations = {row["order_id"]: row for row in told["rows"]}
    assert durations[THROTTLED]["submit_ns"] > 750_000_000 > durations[THROTTLED]["ack_ns"] > 0
    assert durations[STALE]["tick_to_decision_ns"] > 2_000_000_000


def test_the_page_of_orders_leads_to_each(demo_desk: Visitor) -> None:
    sheet = demo_desk.page(f"/orders?{DEMO}")
    assert sheet.links[f"/orders/{FILLED}"] == FILLED
    assert "Orders 9 Filled 2 Rejected 1 Unknown fate 1 Median tick to ack" in sheet.text


@pytest.mark.parametrize(
    ("text", "found"), [("rejected", [REJECTED]), ("67ab2168", [FILLED]), ("SOL/USDT", []), (HOSTILE, [])]
)
def test_orders_are_filtered_by_a_text(demo_desk: Visitor, text: str, found: list[str]) -> None:
    address = f"/orders?{DEMO}&text={quote(text)}"
    assert [row["order_id"] for row in demo_desk.get(f"/api{address}").json["rows"]] == found
    sheet = demo_desk.page(address)
    assert ("No order matches" in sheet.text) == (not found)
    assert sheet.names().isdisjoint({"style"})


def test_an_order_of_a_demo_is_told_whole_by_any_of_its_ids(demo_desk: Visitor) -> None:
    told = demo_desk.get(f"/api/orders/{FILLED}").json
    assert [stage["name"] for stage in told["way"]["stages"]] == [
        "tick",
        "decision",
        "client wait",
        "signing",
        "client",
        "wire to answer",
        "to the first fill",
        "to the last fill",
    ]
    assert [(state["what"], state["status"]) for state in told["states"]] == [
        ("about to be sent", ""),
        ("the venue has it", "new"),
        ("partly filled", "partially_filled"),
        ("filled", "filled"),
    ]
    assert [(fill["execution_id"], fill["filled_ratio"], fill["quantity"]) for fill in told["fills"]] == [
        ("5000001", 0.4, ""),
        ("5000002", 1.0, ""),
    ]
    assert [notice["kind"] for notice in told["notices"]] == ["finding"]
    assert [call["name"] for call in told["calls"] if call["is_before"]] == [
        "GET",
        "SET",
        "SELECT bot_limits",
        "ROLLBACK",
        "SELECT bot_fills",
    ]
    assert told["holds"][0]["what"] == "the client kept a rate limit"
    assert told["cause"]["channel"] == "ticker"
    offsets = [entry["offset_ns"] for entry in told["entries"]]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0
    assert demo_desk.get("/api/orders/1000033").json["order_id"] == "x-TKT5PX2F9035252171d7514f828c7b"


def test_the_page_of_an_order_shows_its_stages_and_leads_to_its_spans(demo_desk: Visitor) -> None:
    told = demo_desk.get(f"/api/orders/{FILLED}").json
    sheet = demo_desk.page(f"/orders/{FILLED}")
    assert {stage["path"] for stage in told["way"]["stages"]} <= set(sheet.links)
    assert {entry["path"] for entry in told["entries"]} <= set(sheet.links)
    assert {call["query_path"] for call in told["calls"]} - {""} <= set(sheet.links)
    assert "most of it: client wait, 47.5 ms" in sheet.text
    assert "What held it up" in sheet.text
    assert "the client kept a rate limit" in sheet.text


def test_every_span_that_an_order_leads_to_is_in_its_trace(demo_desk: Visitor, demo: Telemetry) -> None:
    known = {f"/traces/{one.trace_id}?selected={one.span_id}#span-{one.span_id}" for one in demo.spans}
    told = demo_desk.get(f"/api/orders/{FILLED}").json
    assert {entry["path"] for entry in told["entries"]} <= known


def test_an_order_of_unknown_fate_says_what_to_do(demo_desk: Visitor) -> None:
    sheet = demo_desk.page(f"/orders/{UNKNOWN}")
    assert "Nobody knows whether the venue has this order. Ask the venue for its client id." in sheet.text
    assert "no answer" in sheet.text
    assert "Another order may double it." in sheet.text


def test_a_refused_order_says_by_whom_and_why(demo_desk: Visitor) -> None:
    told = demo_desk.get(f"/api/orders/{REJECTED}").json
    assert {fact["name"]: fact["value"] for fact in told["facts"]} == {
        "type": "limit",
        "environment": "simulated",
        "client": "ccxt",
        "refused by": "venue",
        "reason": "other",
        "code": "-2010",
        "the venue says": "New order rejected.",
        "error": "binance:-2010",
    }


def test_an_order_decided_on_old_data_says_so(demo_desk: Visitor) -> None:
    told = demo_desk.get(f"/api/orders/{STALE}").json
    assert [hold["what"] for hold in told["holds"]] == ["decided on old data"]
    assert [notice["kind"] for notice in told["notices"]] == ["old data"]


def test_an_id_that_nobody_knows_is_answered_with_how_ids_are_looked_up(demo_desk: Visitor) -> None:
    sheet = demo_desk.page(f"/orders/{quote(HOSTILE)}")
    assert (sheet.status, sheet.names() & {"script"}) == (404, {"script"})
    assert [
        attributes for name, attributes in sheet.elements if name == "script" and "src" not in attributes
    ] == []
    assert "An order is found by its client id, by the venue's id or" in sheet.text
    assert demo_desk.get("/api/orders/nothing").status == 404
    assert demo_desk.get("/orders/nothing.md").status == 404


def test_an_order_is_copied_as_markdown(demo_desk: Visitor) -> None:
    answer = demo_desk.get(f"/orders/{FILLED}.md")
    assert answer.media_type.startswith("text/markdown")
    lines = answer.text.splitlines()
    assert lines[0] == f"# Order {FILLED}"
    assert [line for line in lines if line.startswith("## ")] == [
        "## Where the time went",
        "## What held it up",
        "## States",
        "## Fills",
        "## Queries and cache calls",
        "## Findings and alerts",
        "## Everything, in its order",
    ]


def test_hostile_words_mean_nothing_to_markdown_or_to_a_page(desk_of: DeskOf) -> None:
    words = f"{HOSTILE} | `code` *bold* [link](javascript:alert(1))\n# heading"
    hostile: dict[str, Any] = named(
        words.partition("\n")[0],
        more=dict.fromkeys(
            (
                trading.VENUE_NAME,
                trading.INSTRUMENT_SYMBOL,
                trading.ORDER_SIDE,
                trading.ORDER_STATUS,
                trading.ORDER_REJECT_MESSAGE,
                trading.EXECUTION_ID,
            ),
            words,
        ),
    )
    resource: dict[str, Any] = {common.SERVICE_NAME: words}
    visitor = desk_of(
        Telemetry(
            (span(1, words, 0, 1, attributes=hostile, resource=resource),),
            (),
            (log(0, words, words, 17, within=1, attributes=hostile, resource=resource),),
        )
    )
    path = visitor.get(f"/api/orders?{THEN}").json["rows"][0]["path"]
    addresses = [
        path,
        f"/orders?{THEN}",
        f"/operations?{THEN}&sort={quote(words)}&service={quote(words)}",
        f"/logs?{THEN}&service={quote(words)}&event={quote(words)}",
        f"/search?{THEN}&q={quote(words)}",
    ]
    for address in addresses:
        sheet = visitor.page(address)
        assert sheet.status == 200, address
        scripts = [attributes for name, attributes in sheet.elements if name == "script"]
        assert all(attributes.get("src", "").startswith("/static/") for attributes in scripts), address
        assert "49" not in sheet.text.split("alert(1)")[1][:20]
        assert not any(link.startswith("javascript:") for link in sheet.links)
        assert all(not name.startswith("on") for _, attributes in sheet.elements for name in attributes)
    markdown = visitor.get(f"{path}.md").text
    assert re.search(r"(?<!\\)<", markdown) is None
    assert "\n# heading" not in markdown
    assert r"\| \`code\` \*bold\* \[link\](javascript:alert(1))" in markdown


def test_an_alert_that_names_an_order_is_told_with_it(desk_of: DeskOf) -> None:
    lone = {alerts.ALERT_NAME: "unknown orders", alerts.ALERT_NOTICE: '{"labels": {"order": "c-1"}}'}
    other = {alerts.ALERT_NAME: "high memory"}
    visitor = desk_of(
        Telemetry(
            tuple(one_order()),
            (),
            (
                log(
                    70, alerts.EVENT_STATE_CHANGE, "unknown orders fires", 17, trace_id=None, attributes=lone
                ),
                log(71, alerts.EVENT_STATE_CHANGE, "high memory fires", 17, trace_id=None, attributes=other),
                log(72, findings.EVENT, "Of no order.", 13, trace_id=None),
            ),
        )
    )
    told = visitor.get("/api/orders/c-1").json["notices"]
    assert [(notice["kind"], notice["title"]) for notice in told] == [("alert", "unknown orders fires")]


def test_a_report_in_a_later_trace_is_part_of_its_order(desk_of: DeskOf) -> None:
    later = "0" * 31 + "9"
    known = named("c-1", "v-1", more={trading.ORDER_STATUS: "filled", trading.EXECUTION_ID: "x-2"})
    report = span(1, f"{trading.SPAN_ORDER_EVENT} filled", 90_000, 90_001, trace_id=later, attributes=known)
    note = log(90_001, trading.EVENT_ORDER_FEE, trace_id=None, attributes=named("c-1", "v-1"))
    told = desk_of(Telemetry((*one_order(), report), (), (note,))).get("/api/orders/v-1").json
    assert len(told["trace_ids"]) == 2
    assert [fill["execution_id"] for fill in told["fills"]] == ["x-1", "x-2"]
    assert [entry["name"] for entry in told["entries"][-2:]] == [report.name, trading.EVENT_ORDER_FEE]


def test_an_id_with_slashes_is_an_id(desk_of: DeskOf) -> None:
    known = named("desk/7 a", more={trading.ORDER_OPERATION: "submit"})
    visitor = desk_of(Telemetry((span(1, f"{trading.SPAN_ORDER}.submit sim", 0, 1, attributes=known),)))
    path = visitor.get(f"/api/orders?{THEN}").json["rows"][0]["path"]
    assert path == "/orders/desk%2F7%20a"
    assert visitor.page(path).status == 200
    assert visitor.get(f"{path}.md").text.startswith("# Order desk/7 a")


def test_operations_lead_to_an_exemplar_and_to_their_traces(demo_desk: Visitor) -> None:
    address = f"/operations?{DEMO}&service=demo-bot&sort=calls"
    told = demo_desk.get(f"/api{address}").json
    rows = told["rows"]
    assert [row["calls"] for row in rows] == sorted((row["calls"] for row in rows), reverse=True)
    assert {row["service"] for row in rows} == {"demo-bot"}
    assert (told["services"], told["sort"]) == (["demo-bot", "demo-bot-in-trouble"], "calls")
    sheet = demo_desk.page(address)
    for row in rows:
        assert row["path"] in sheet.links
        assert row["traces_path"] in sheet.links
        listed = demo_desk.get(f"/api{row['traces_path']}").text
        assert row["path"].rpartition("/")[2] in listed


def test_operations_count_what_failed(demo_desk: Visitor, demo: Telemetry) -> None:
    rows = demo_desk.get(f"/api/operations?{DEMO}&service=demo-bot-in-trouble").json["rows"]
    failed = [row for row in rows if row["errors"]]
    assert {row["name"]: row["errors"] for row in failed} == {
        f"{trading.SPAN_ORDER}.submit binance": 3,
        trading.SPAN_ORDER_LIFECYCLE: 2,
    }
    assert sum(row["calls"] for row in rows) == sum(
        one.resource[common.SERVICE_NAME] == "demo-bot-in-trouble" for one in demo.spans
    )


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("", 36),
        ("service=demo-bot", 9),
        ("severity=error", 5),
        ("severity=warn", 16),
        (f"event={trading.EVENT_ORDER_ACK}", 6),
        ("text=SILENT", 1),
        (f"attribute={trading.ORDER_STATUS}%3Drejected", 2),
        ("trace_id=1e8fb52bff5bf60ec377837df08b5326", 5),
        ("severity=error&text=nothing", 0),
    ],
)
def test_logs_are_filtered(demo_desk: Visitor, filters: str, count: int) -> None:
    address = f"/logs?{DEMO}&{filters}"
    told = demo_desk.get(f"/api{address}").json
    assert (len(told["records"]), told["counted"], sum(told["totals"])) == (count, count, count)
    sheet = demo_desk.page(address)
    assert {record["path"] for record in told["records"]} - {""} <= set(sheet.links)
    assert {bucket["path"] for bucket in told["buckets"] if any(bucket["counts"])} <= set(sheet.links)
    assert ("No record matches" in sheet.text) == (count == 0)


def test_logs_of_a_trace_are_shown_however_old_they_are(demo_desk: Visitor) -> None:
    trace_id = "1e8fb52bff5bf60ec377837df08b5326"
    told = demo_desk.get(f"/api/logs?trace_id={trace_id}").json
    assert (len(told["records"]), told["counted"]) == (5, 5)
    assert told["buckets"][0]["since_ns"] == told["records"][-1]["time_ns"]
    assert demo_desk.get(f"/api/logs?trace_id={trace_id}&range=1").json["records"] == []


def test_logs_are_newest_first_and_go_on_with_older_ones(desk_of: DeskOf) -> None:
    visitor = desk_of(Telemetry(logs=tuple(log(number, body=f"line {number}") for number in range(250))))
    bodies: list[str] = []
    before, told = "", dict[str, Any]()
    for _ in range(3):
        told = visitor.get(f"/api/logs?{THEN}{before}").json
        bodies += [record["body"] for record in told["records"]]
        before = f"&before={told['before']}"
    assert bodies == [f"line {number}" for number in reversed(range(250))]
    assert told["before"] == 0


def test_a_long_body_is_a_click_away(desk_of: DeskOf) -> None:
    visitor = desk_of(Telemetry(logs=(log(1, body="x" * 300), log(2, body="y" * 100_000))))
    sheet = visitor.page(f"/logs?{THEN}")
    assert "x" * 300 in sheet.text
    assert "y" * 1_000 not in sheet.text
    assert "All 100,000 characters" in sheet.text
    path = visitor.get(f"/api/logs?{THEN}").json["records"][0]["own_path"]
    assert path in sheet.links
    assert "y" * 100_000 in visitor.page(path).text


@pytest.mark.parametrize("number", ["0", "1", "-1", "x", "9" * 30, "%00"])
def test_a_record_that_is_not_there_is_answered_with_why(desk_of: DeskOf, number: str) -> None:
    sheet = desk_of().page(f"/logs/{number}")
    assert sheet.status == 404
    assert "Records are numbered as they come" in sheet.text


def test_a_number_between_or_after_those_of_records_is_of_none(desk_of: DeskOf) -> None:
    visitor = desk_of(Telemetry(logs=(log(1, body="one"), log(2, body="two"))))
    newest, oldest = (record["number"] for record in visitor.get(f"/api/logs?{THEN}").json["records"])
    assert visitor.get(f"/api/logs/{oldest}").json["body"] == "one"
    assert [visitor.get(f"/logs/{number}").status for number in (newest + 1, oldest - 1)] == [404, 404]


def test_a_search_for_an_order_leads_there_first(demo_desk: Visitor) -> None:
    address = f"/search?{DEMO}&q={FILLED}"
    told = demo_desk.get(f"/api{address}").json
    assert told["exact"]["path"] == f"/orders/{FILLED}"
    assert {"order", "span", "log"} <= {group["kind"] for group in told["groups"]}
    sheet = demo_desk.page(address)
    assert "One order has this id" in sheet.text
    assert list(sheet.links)[-1] != f"/orders/{FILLED}"
    assert "Looked from 2026-11-26" in sheet.text


def test_a_search_for_a_trace_or_a_span_leads_there_first(demo_desk: Visitor, demo: Telemetry) -> None:
    one = demo.spans[0]
    trace = demo_desk.get(f"/api/search?{DEMO}&q={one.trace_id}").json["exact"]
    assert (trace["kind"], trace["path"]) == ("trace", f"/traces/{one.trace_id}")
    found = demo_desk.get(f"/api/search?{DEMO}&q={one.span_id}").json["exact"]
    assert found["kind"] == "span"
    assert one.span_id in found["path"]


def test_a_search_for_an_attribute_finds_what_has_it(demo_desk: Visitor) -> None:
    told = demo_desk.get(f"/api/search?{DEMO}&q={trading.ORDER_STATUS}%3Drejected").json
    assert told["exact"] is None
    assert {group["kind"] for group in told["groups"]} >= {"span", "log"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/orders", "No order yet"),
        ("/operations", "No operation"),
        ("/logs", "No record yet"),
        ("/search", "What may be searched for"),
        ("/search?q=nothing", "Nothing has this"),
    ],
)
def test_an_empty_desk_says_what_to_do(desk_of: DeskOf, path: str, words: str) -> None:
    sheet = desk_of().page(path)
    assert words in sheet.text
    assert "empty" in {attributes.get("class") for name, attributes in sheet.elements if name == "section"}
