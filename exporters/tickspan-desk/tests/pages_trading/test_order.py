"""The story of one order, from its spans and records."""

from __future__ import annotations

from typing import Any

from order_words import EPOCH_NS, MS, RESOURCE, TRACE, at, log, named, one_order, order_entry, span
from tickspan_desk.views.order import (
    Call,
    Cause,
    Entry,
    Fill,
    Hold,
    Named,
    Notice,
    OrderStory,
    State,
    story_of,
)
from tickspan_desk.views.stages import Way, way_of
from tickspan_spool.agent.semconv import ABANDONED

from tickspan.received import ReceivedLog, ReceivedSpan
from tickspan.semconv import alerts, cache, common, db, findings, memory, trading

OTHER_TRACE = "0" * 31 + "2"


def path(number: int, trace_id: str = TRACE) -> str:
    return f"/traces/{trace_id}?selected={number:016x}#span-{number:016x}"


def told(spans: list[ReceivedSpan], logs: list[ReceivedLog] | None = None, **known: Any) -> OrderStory:
    return story_of(order_entry("c-1", "v-1", **known), spans, logs or [])


def test_an_order_is_told_whole() -> None:
    spans = [
        span(1, trading.SPAN_FEED_MESSAGE, 0, 2, attributes={
            trading.VENUE_NAME: "sim",
            trading.INSTRUMENT_SYMBOL: "BTC/USDT",
            trading.FEED_CHANNEL: "ticker",
            trading.VENUE_TIME_UNIX_NANO: at(-3),
        }),
        span(2, f"{trading.SPAN_ORDER}.submit sim", 10, 20, 1, attributes=named(
            venue_id="v-1",
            more={
                trading.ORDER_OPERATION: "submit",
                trading.ORDER_STATUS: "new",
                trading.ORDER_TYPE: "limit",
                trading.TRIGGER: "tick",
            },
        )),
    ]  # fmt: skip
    logs = [
        log(10, trading.EVENT_ORDER_NEW, within=2, attributes=named()),
        log(20, trading.EVENT_ORDER_ACK, within=2, attributes=named(
            venue_id="v-1",
            more={trading.ORDER_STATUS: "new", trading.ORDER_EVENT_SOURCE: "rest_response"},
        )),
        log(30, trading.EVENT_ORDER_FILL, within=2, attributes=named(
            venue_id="v-1",
            more={
                trading.ORDER_STATUS: "filled",
                trading.ORDER_FILLED_RATIO: 1.0,
                trading.EXECUTION_ID: "x-1",
                trading.EXECUTION_QUANTITY: "0.5",
                trading.EXECUTION_PRICE: "42000.5",
                trading.VENUE_TIME_UNIX_NANO: at(28),
            },
        )),
    ]  # fmt: skip
    fill = logs[2].event_name
    assert told(spans, logs, end_ms=30) == OrderStory(
        order_id="c-1",
        path="/orders/c-1",
        ids=(Named("client id", "c-1"), Named("venue id", "v-1")),
        venue="sim",
        symbol="BTC/USDT",
        side="buy",
        status="filled",
        tone="ok",
        services=("bot",),
        processes=("bot 7",),
        trace_ids=(TRACE,),
        start_ns=at(0),
        end_ns=at(30),
        trigger="tick",
        is_complete=None,
        warnings=(),
        facts=(Named("type", "limit"),),
        way=way_of([spans[1]], [spans[0]]),
        cause=Cause("sim", "BTC/USDT", "ticker", at(0), 3 * MS, path(1)),
        fills=(
            Fill(
                at(30), "x-1", "", "0.5", "42000.5", "", 1.0,
                is_late=False, source="", lag_ns=2 * MS, path=path(2),
            ),
        ),
        more_fills=0,
        states=(
            State(at(10), 10 * MS, "about to be sent", "", "", "", "info", path(2)),
            State(at(20), 20 * MS, "the venue has it", "new", "rest_response", "", "info", path(2)),
            State(
                at(30), 30 * MS, "filled", "filled", "", "100% filled, execution x-1", "ok", path(2)
            ),
        ),
        more_states=0,
        holds=(),
        notices=(),
        calls=(),
        cache=(),
        entries=(
            Entry(at(0), 0, 2 * MS, "span", spans[0].name, "ticker", "bot", "7", "", "", path(1)),
            Entry(at(10), 10 * MS, 10 * MS, "span", spans[1].name, "new", "bot", "7", "this", "", path(2)),
            Entry(at(10), 10 * MS, None, "log", logs[0].event_name, "", "bot", "7", "this", "", path(2)),
            Entry(at(20), 20 * MS, None, "log", logs[1].event_name, "new", "bot", "7", "this", "", path(2)),
            Entry(at(30), 30 * MS, None, "log", fill, "filled", "bot", "7", "this", "", path(2)),
        ),
        left_out=0,
    )  # fmt: skip


def test_an_order_of_which_nothing_is_kept_but_its_name_is_told_too() -> None:
    story = told([], trace_ids=())
    assert (story.order_id, story.ids, story.start_ns, story.way, story.entries) == (
        "c-1",
        (Named("id", "c-1"), Named("id", "v-1")),
        at(10),
        Way(),
        (),
    )


def test_a_fill_that_a_span_and_a_record_tell_of_is_one() -> None:
    report = one_order()[4]
    record = log(60.2, trading.EVENT_ORDER_FILL, within=4, attributes=dict(report.attributes))
    fills = told(one_order(), [record]).fills
    assert fills == (
        Fill(
            at(60),
            "x-1",
            "taker",
            "",
            "",
            "",
            1.0,
            is_late=False,
            source="user_stream",
            lag_ns=5 * MS,
            path=path(5),
        ),
    )


def test_fills_without_an_id_are_told_by_how_much_is_filled() -> None:
    def report(time_ms: float, ratio: float) -> ReceivedLog:
        event = trading.EVENT_ORDER_FILL if ratio == 1 else trading.EVENT_ORDER_PARTIAL_FILL
        status = "filled" if ratio == 1 else "partially_filled"
        return log(
            time_ms,
            event,
            attributes=named(more={trading.ORDER_STATUS: status, trading.ORDER_FILLED_RATIO: ratio}),
        )

    fills = told([], [report(1, 0.4), report(2, 0.4), report(3, 1.0)]).fills
    assert [(fill.time_ns, fill.filled_ratio) for fill in fills] == [(at(1), 0.4), (at(3), 1.0)]


def test_without_an_audit_stream_the_reports_are_the_states() -> None:
    states = told(one_order()).states
    assert [(state.offset_ns, state.what, state.status) for state in states] == [
        (41 * MS, "reported", "new"),
        (60 * MS, "its life was written", "filled"),
        (60 * MS, "reported", "filled"),
    ]


def test_what_another_order_of_the_same_tick_did_is_set_apart() -> None:
    submit = {trading.ORDER_OPERATION: "submit"}
    other = span(
        20, f"{trading.SPAN_ORDER}.submit sim", 12, 30, 1, attributes=named("c-2", "v-2", more=submit)
    )
    query = span(21, "INSERT", 14, 15, 20, attributes={db.DB_SYSTEM_NAME: "sqlite", memory.GC_PAUSE: 0.5})
    finding = log(15, findings.EVENT, "Slow.", 17, within=21)
    story = told([*one_order(), other, query], [finding])
    assert [(entry.name, entry.about) for entry in story.entries] == [
        (trading.SPAN_FEED_MESSAGE, ""),
        (trading.SPAN_STRATEGY_DECISION, ""),
        (f"{trading.SPAN_RISK_CHECK} size", ""),
        (trading.SPAN_ORDER_LIFECYCLE, "this"),
        (f"{trading.SPAN_ORDER}.submit sim", "this"),
        (f"{trading.SPAN_ORDER}.submit sim", "other"),
        ("INSERT", "other"),
        (findings.EVENT, "other"),
        (f"{trading.SPAN_ORDER_EVENT} filled", "this"),
    ]
    assert (story.calls, story.notices) == ((), ())
    assert {hold.what for hold in story.holds} == {"the client kept a rate limit"}


def test_queries_and_cache_calls_have_their_share_of_the_way_to_the_wire() -> None:
    sqlite = {db.DB_SYSTEM_NAME: "sqlite", db.TICKSPAN_DB_QUERY_FINGERPRINT: "abc"}
    spans = [
        *one_order(),
        span(10, "SELECT limits", 2, 5, 1, attributes=sqlite),
        span(11, "SELECT limits", 5, 8, 1, attributes=sqlite, failed=True),
        span(12, "GET", 8, 9, 1, attributes={db.DB_SYSTEM_NAME: "redis"}),
        span(13, "INSERT fills", 61, 65, 5, attributes={db.DB_SYSTEM_NAME: "sqlite"}),
    ]
    assert told(spans).calls == (
        Call(
            "SELECT limits",
            "sqlite",
            2,
            6 * MS,
            0.2,
            is_before=True,
            errors=1,
            path=path(10),
            query_path="/queries/abc",
        ),
        Call("GET", "redis", 1, 1 * MS, 1 / 30, is_before=True, errors=0, path=path(12), query_path=""),
        Call(
            "INSERT fills", "sqlite", 1, 4 * MS, 0.0, is_before=False, errors=0, path=path(13), query_path=""
        ),
    )


def test_what_held_an_order_up_is_told_once_by_its_worst_span() -> None:
    spans = one_order()
    held = {
        memory.GC_PAUSE: 0.003,
        memory.EVENTLOOP_SPAN_DELAY: 0.002,
        memory.EVENTLOOP_BLOCKED_BY: "crunch (bot.py:7)",
    }
    spans.append(span(30, "SELECT", 3, 8, 2, attributes={**held, db.TICKSPAN_DB_POOL_WAIT: 0.004}))
    spans.append(
        span(31, "GET", 2.5, 5, 2, attributes={memory.GC_PAUSE: 0.001, db.TICKSPAN_DB_POOL_WAIT: 1e-5})
    )
    spans.append(span(32, "COMMIT", 80, 99, 5, attributes={memory.GC_PAUSE: 9.0}))
    assert told(spans).holds == (
        Hold("the client kept a rate limit", 15 * MS, "", f"{trading.SPAN_ORDER}.submit sim", 1, path(4)),
        Hold("waited for a connection", 4 * MS, "", "SELECT", 1, path(30)),
        Hold("garbage collector", 3 * MS, "", "SELECT", 2, path(30)),
        Hold("event loop was busy", 2 * MS, "crunch (bot.py:7)", "SELECT", 1, path(30)),
    )


def test_findings_and_alerts_are_told_the_gravest_first() -> None:
    logs = [
        log(5, findings.EVENT, "SELECT ran 9 times.", 13, within=2, attributes={
            findings.FINDING_ADVICE: "Ask once.", db.TICKSPAN_DB_QUERY_FINGERPRINT: "abc",
        }),
        log(70, alerts.EVENT_STATE_CHANGE, "slow orders fires", 17, within=4),
    ]  # fmt: skip
    assert told(one_order(), logs).notices == (
        Notice(at(70), "alert", "slow orders fires", "", "error", "bad", "/alerts", path(4)),
        Notice(at(5), "finding", "SELECT ran 9 times.", "Ask once.", "warn", "warn", "/queries/abc", path(2)),
    )


def test_an_order_that_outlived_its_process_is_told_across_its_traces() -> None:
    later: dict[str, Any] = {common.SERVICE_NAME: "bot", common.PROCESS_PID: 8, common.HOST_NAME: "desk"}
    spans = [
        span(1, f"{trading.SPAN_ORDER}.submit sim", 0, 5, attributes=named(
            more={trading.ORDER_OPERATION: "submit", ABANDONED: True}
        )),
        span(1, f"{trading.SPAN_ORDER_EVENT} filled", 9_000, 9_001, trace_id=OTHER_TRACE, resource=later,
             attributes=named(more={trading.ORDER_STATUS: "filled", trading.EXECUTION_ID: "x-9"})),
    ]  # fmt: skip
    story = told(spans, trace_ids=(TRACE, OTHER_TRACE), start_ms=0, end_ms=9_001)
    assert story.processes == ("bot 7", "bot 8 on desk")
    assert story.warnings == ("The process that placed it died before it was over.",)
    assert [(entry.path, entry.process) for entry in story.entries] == [
        (path(1), "7"),
        (path(1, OTHER_TRACE), "8"),
    ]
    assert story.fills[0].path == path(1, OTHER_TRACE)


def test_what_somebody_must_look_after_is_said_first() -> None:
    doubt = named("c-2", more={trading.ORDER_DUPLICATE_CLIENT_ID: "c-1"})
    logs = [
        log(1, trading.EVENT_ORDER_UNSAFE_RETRY, severity=17, attributes=named()),
        log(2, trading.EVENT_ORDER_DUPLICATE_SUSPECTED, severity=13, attributes=doubt),
        log(3, trading.EVENT_ORDER_DUPLICATE_SUSPECTED, severity=13, attributes=named(
            more={trading.ORDER_DUPLICATE_VENUE_ID: "v-7"}
        )),
    ]  # fmt: skip
    life = span(1, trading.SPAN_ORDER_LIFECYCLE, 0, 9, attributes=named(more={trading.ORDER_COMPLETE: False}))
    assert told([life], logs, status="unknown").warnings == (
        "Nobody knows whether the venue has this order. Ask the venue for its client id.",
        "It was sent again after its answer was lost: the venue may have it twice.",
        "The order c-2 may double it.",
        "It may double the order v-7.",
        "It was still open when its process ended.",
    )


def test_an_order_that_nobody_here_placed_says_so() -> None:
    report = span(
        1,
        f"{trading.SPAN_ORDER_EVENT} new",
        0,
        1,
        attributes=named(None, "v-1", more={trading.ORDER_MATCHED: False, trading.ORDER_STATUS: "new"}),
    )
    assert told([report]).warnings == (
        "Nobody that is recorded here placed it: the venue told of it unasked.",
    )


def test_caches_are_told_as_the_spans_count_them() -> None:
    spans = one_order()
    spans.append(span(40, "decide", 1, 9, attributes={cache.CACHE_HITS: 1_200, cache.CACHE_MISSES: 3}))
    assert told(spans).cache == (Named("hits", "1,200"), Named("misses", "3"))


def test_spans_that_are_each_others_parents_are_told_like_others() -> None:
    ring = [span(1, "a", 0, 1, 2), span(2, "b", 0, 1, 1), span(3, "c", 0, 1, 3)]
    assert [entry.about for entry in told(ring).entries] == ["", "", ""]


def test_a_timeline_is_cut_and_keeps_what_is_the_orders_own() -> None:
    crowd = [span(number, "tick", number, number) for number in range(1, 1_502)]
    own = span(2_000, "fill", 9_000, 9_001, attributes=named())
    story = told([*crowd, own])
    assert (len(story.entries), story.left_out) == (1_000, 502)
    assert [entry.path for entry in (story.entries[0], story.entries[-1])] == [path(1), path(2_000)]


def test_hostile_texts_are_cut_and_values_of_other_kinds_are_told() -> None:
    hostile: dict[str, Any] = {
        trading.ORDER_CLIENT_ID: "c-1",
        trading.ORDER_REJECT_MESSAGE: "x" * 10_000,
        trading.ORDER_FILLED_RATIO: "all",
        trading.EXECUTION_ID: ("a", 1),
        trading.VENUE_TIME_UNIX_NANO: True,
        trading.ORDER_STATUS: {"a": b"\x01"},
        memory.MEMORY_GROWTH: "much",
        cache.CACHE_HITS: "many",
    }
    story = told([span(1, trading.SPAN_ORDER_EVENT, 0, 1, attributes=hostile, resource=RESOURCE)])
    assert story.facts == (Named("the venue says", "x" * 400 + "… (9,600 more)"),)
    assert [(fill.execution_id, fill.filled_ratio, fill.lag_ns) for fill in story.fills] == [
        ('["a", 1]', None, None)
    ]
    assert story.states[0].status == '{"a": "01"}'
    assert story.start_ns == EPOCH_NS
