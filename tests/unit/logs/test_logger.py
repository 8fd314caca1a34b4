"""Loggers with a category, blocks with fields, direct loggers, audit records."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tickspan.logs import Category, get_direct_logger, get_logger, log_context
from tickspan.logs.audit import AuditTrail, DiskWait
from tickspan.logs.capture import CAPTURE, Note
from tickspan.logs.category import category_name

from .conftest import Desk, StartDesk

CODE = ("code.file.path", "code.function.name", "code.line.number")


def fields_of(desk: Desk) -> list[dict[str, object]]:
    """Attributes of all records but their place in the code."""
    return [{key: value for key, value in log.attributes.items() if key not in CODE} for log in desk.logs()]


def test_keywords_extra_and_arguments_become_fields_and_text(desk: Desk):
    log = desk.logger("oms", Category.TRADING)
    log.warning("%s of %d", "AAPL", 100, extra={"venue": "NYSE"}, symbol="AAPL", quantity=100)
    assert desk.bodies() == ["AAPL of 100"]
    assert fields_of(desk) == [
        {
            "tickspan.log.category": "trading",
            "tickspan.log.template": "%s of %d",
            "venue": "NYSE",
            "symbol": "AAPL",
            "quantity": 100,
        }
    ]


def test_handlers_of_the_application_see_fields_as_attributes(desk: Desk, caplog: pytest.LogCaptureFixture):
    desk.logger("oms", "trading").warning("filled", symbol="AAPL")
    (record,) = caplog.records
    assert (record.symbol, record.funcName) == (  # type: ignore[attr-defined] - a field
        "AAPL",
        "test_handlers_of_the_application_see_fields_as_attributes",
    )


def test_nothing_of_ours_is_in_the_record_that_handlers_print(desk: Desk, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    bare = set(vars(logging.LogRecord("", 0, "", 0, "", (), None)))
    log = desk.logger("oms", "trading")
    log.warning("filled", symbol="AAPL", event_name="order.filled")
    log.audit("limit", symbol="AAPL")
    formatted = {"message", "asctime"}  # by whatever handlers there are
    added = [set(vars(record)) - bare - formatted for record in caplog.records]
    assert added == [{"symbol"}, {"symbol"}]


def test_a_filter_that_logs_does_not_take_another_records_category(desk: Desk):
    logger = logging.getLogger("app.filtered")

    def talking(record: logging.LogRecord) -> bool:
        if record.msg == "filled":
            logging.getLogger("app.other").warning("seen")
        return True

    logger.addFilter(talking)
    desk.logger("app.filtered", "trading").warning("filled")
    logger.removeFilter(talking)
    assert [(log.body, log.attributes.get("tickspan.log.category")) for log in desk.logs()] == [
        ("seen", None),
        ("filled", "trading"),
    ]


def test_fields_named_like_a_records_own_are_recorded_and_nothing_raises(
    desk: Desk, caplog: pytest.LogCaptureFixture
):
    desk.logger("oms").warning("filled", name="n", args="a", message="m", module="x")
    assert fields_of(desk) == [{"name": "n", "args": "a", "message": "m", "module": "x"}]
    assert (caplog.records[0].name, caplog.records[0].getMessage()) == ("oms", "filled")


@pytest.mark.parametrize("extra", [5, [1, 2], "text"])
def test_extra_that_is_no_mapping_is_left_out(desk: Desk, extra: object):
    desk.logger("oms").warning("filled", extra=extra, symbol="AAPL")  # type: ignore[arg-type] - what users do
    assert fields_of(desk) == [{"symbol": "AAPL"}]


def test_a_record_may_be_an_event(desk: Desk):
    desk.logger("oms", "risk").warning("limit reached", event_name="risk.limit.reached", limit=5)
    (log,) = desk.logs()
    assert (log.event_name, log.attributes["limit"]) == ("risk.limit.reached", 5)


def test_an_event_is_noticed_by_whoever_wants_events_of_that_name(desk: Desk):
    seen: list[tuple[str, object, int]] = []

    class Noticer:
        def wants(self, event_name: str) -> bool:
            return event_name == "risk.limit.reached"

        def happened(
            self, event_name: str, attributes: Mapping[str, object], trace_id: int, span_id: int
        ) -> None:
            del span_id
            seen.append((event_name, attributes["limit"], trace_id))

    desk.provider.notice_events(Noticer())
    desk.logger("oms", "risk").warning("limit reached", event_name="risk.limit.reached", limit=5)
    desk.logger("oms", "risk").warning("limit reached", event_name="risk.other", limit=6)
    assert seen == [("risk.limit.reached", 5, 0)]


def test_info_is_captured_though_nobody_has_configured_logging(desk: Desk, caplog: pytest.LogCaptureFixture):
    logging.getLogger("fresh").setLevel(logging.NOTSET)
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    try:
        desk.logger("fresh", "trading").info("filled", symbol="AAPL")
    finally:
        root.setLevel(before)
    assert (desk.bodies(), caplog.records) == (["filled"], [])


def test_a_level_set_on_the_logger_itself_holds_for_both(desk: Desk):
    logger = logging.getLogger("quiet")
    logger.setLevel(logging.ERROR)
    log = desk.logger("quiet")
    log.info("below")
    log.error("told")
    logger.disabled = True
    log.error("disabled")
    logger.disabled = False
    logging.disable(logging.CRITICAL)
    log.error("disabled for all")
    logging.disable(logging.NOTSET)
    assert desk.bodies() == ["told"]
    assert (log.isEnabledFor(logging.INFO), log.isEnabledFor(logging.ERROR)) == (False, True)


def test_an_exception_is_told_without_source_lines(desk: Desk):
    try:
        raise ValueError("bad price")
    except ValueError as error:
        desk.logger("oms").exception("rejected")
        desk.logger("oms").info("rejected", exc_info=error)
    assert [
        (log.attributes["exception.type"], log.attributes["exception.message"]) for log in desk.logs()
    ] == [("ValueError", "bad price")] * 2


def test_words_of_the_application_are_categories(desk: Desk):
    desk.logger("x", "alpha.signals").warning("hm")
    assert fields_of(desk) == [{"tickspan.log.category": "alpha.signals"}]


@pytest.mark.parametrize("category", ["Trading", "", "a" * 42, "a b", 5])
def test_what_is_no_category_raises_at_the_call(category: str):
    with pytest.raises(ValueError, match=r"expected a category such as Category\.TRADING"):
        category_name(category)


def test_get_logger_gives_loggers_of_this_process():
    log, direct = get_logger("oms", Category.RISK), get_direct_logger("md")
    assert (log.category, log.logger.name, repr(log)) == ("risk", "oms", "<CategoryLogger oms risk>")
    assert repr(direct) == "<DirectLogger md without category>"
    assert log._capture is CAPTURE


def test_a_block_gives_its_fields_to_all_loggers_inside(desk: Desk):
    with log_context(Category.TRADING, trade_id="t7"), log_context(symbol="AAPL"):
        logging.getLogger("app.any").warning("inside")
        desk.logger("oms", "risk").warning("inside", symbol="MSFT")
        desk.direct("md").info("inside")
    logging.getLogger("app.any").warning("outside")
    assert fields_of(desk) == [
        {"tickspan.log.category": "trading", "trade_id": "t7", "symbol": "AAPL"},
        {"tickspan.log.category": "risk", "trade_id": "t7", "symbol": "MSFT"},
        {"tickspan.log.category": "trading", "trade_id": "t7", "symbol": "AAPL"},
        {},
    ]


def test_a_block_holds_in_its_task_and_those_it_starts(desk: Desk):
    log = desk.logger("oms")

    async def inner() -> None:
        log.warning("inner")

    async def trade(number: int) -> None:
        with log_context(trade=number):
            await asyncio.sleep(0)
            await asyncio.create_task(inner())

    async def both() -> None:
        await asyncio.gather(trade(1), trade(2))

    asyncio.run(both())
    assert sorted(fields["trade"] for fields in fields_of(desk)) == [1, 2]  # type: ignore[type-var] - numbers


def test_a_block_as_decorator_may_run_in_several_threads_at_once(desk: Desk):
    log = desk.logger("oms")
    barrier = threading.Barrier(2)

    @log_context("trading", desk="fx")
    def trade(depth: int) -> None:
        barrier.wait(5)
        log.warning("in")
        if depth:
            log.warning("deeper")

    threads = [threading.Thread(target=trade, args=(depth,)) for depth in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.warning("outside")
    assert [fields.get("desk") for fields in fields_of(desk)] == ["fx"] * 3 + [None]


def test_secrets_in_a_block_are_not_recorded(desk: Desk):
    with log_context(password="hunter2", note="api_key=hunter2"):
        desk.logger("oms").warning("in")
    assert b"hunter2" not in desk.sink.entries[0].body


def test_a_direct_logger_writes_message_and_fields(desk: Desk):
    log = desk.direct("md", Category.MARKET_DATA)
    log.debug("below")
    log.info("tick", symbol="AAPL", px=1.5)
    log.log(35, "between")
    log.critical({"kind": "structure"})
    assert [(one.body, one.severity_text, one.severity_number, one.scope) for one in desk.logs()] == [
        ("tick", "INFO", 9, "md"),
        ("between", "Level 35", 16, "md"),
        ({"kind": "structure"}, "FATAL", 21, "md"),
    ]
    assert desk.logs()[0].attributes == {"tickspan.log.category": "market_data", "symbol": "AAPL", "px": 1.5}


def test_a_line_that_writes_too_often_is_told_once_with_a_count(desk: Desk, caplog: pytest.LogCaptureFixture):
    log = desk.logger("md", "market_data")
    for number in range(60):
        text = f"tick {number}"
        log.warning(text)
    log.warning("another line")
    desk.clock[0] = 11.0
    desk.capture.look()
    told = desk.logs()[-1]
    assert (len(desk.bodies()), len(caplog.records)) == (52, 61)
    assert (told.body, told.event_name, told.scope) == ("10 more", "tickspan.log.suppressed", "md")
    assert told.attributes["tickspan.log.suppressed.first"] == "tick 50"
    assert told.attributes["tickspan.log.suppressed.last"] == "tick 59"
    assert told.attributes["tickspan.log.category"] == "market_data"
    assert desk.capture.statistics().suppressed == {"market_data": 10}


def test_what_is_suppressed_is_told_at_the_end(desk: Desk):
    for _ in range(51):
        desk.logger("md").warning("tick")
    desk.capture.stop()
    assert desk.bodies()[-1] == "1 more"


def test_the_next_second_has_room_again(desk: Desk):
    for second in (0.0, 1.0):
        desk.clock[0] = second
        for _ in range(60):
            desk.logger("md").warning("tick")
    assert len(desk.bodies()) == 100


def test_audit_records_are_numbered_and_never_throttled_or_below_a_level(start: StartDesk):
    desk = start(level="ERROR", throttle=1)
    log = desk.logger("oms", "risk")
    trail = AuditTrail()
    told = [trail.record(desk.capture, _audit_record(log.logger), Note(None, {})) for _ in range(60)]
    assert (told, len(desk.bodies())) == ([True] * 60, 60)
    assert [fields["tickspan.audit.sequence"] for fields in fields_of(desk)] == list(range(1, 61))
    assert {fields["tickspan.log.category"] for fields in fields_of(desk)} == {"audit"}


def _audit_record(logger: logging.Logger) -> logging.LogRecord:
    return logger.makeRecord(logger.name, logging.INFO, __file__, 1, "limit", (), None)


def test_an_audit_record_reaches_handlers_and_is_recorded_once(desk: Desk, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    assert desk.logger("oms").audit("limit of %s changed", "AAPL", limit=5)
    assert (desk.bodies(), caplog.messages) == (["limit of AAPL changed"], ["limit of AAPL changed"])


def test_an_audit_record_that_nobody_records_says_so(desk: Desk):
    desk.capture.stop()
    assert not desk.logger("oms").audit("limit")


def test_audit_numbers_of_threads_are_in_the_order_of_the_records(desk: Desk):
    def work() -> None:
        for _ in range(100):
            desk.logger("oms").audit("limit")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers: list[int] = [int(str(fields["tickspan.audit.sequence"])) for fields in fields_of(desk)]
    assert (len(numbers), numbers) == (400, list(range(numbers[0], numbers[0] + 400)))


def test_waiting_for_the_disk_ends_when_it_has_what_was_written(tmp_path: Path):
    (tmp_path / "000001.seg").write_bytes(b"x")
    wait = DiskWait(lambda: tmp_path)
    assert (wait.wait(5.0), wait.wait(5.0)) == (True, True)


def test_waiting_for_the_disk_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "000001.seg").write_bytes(b"x")
    is_released = threading.Event()

    def slow(_descriptor: int) -> None:
        is_released.wait(10)

    monkeypatch.setattr(os, "fdatasync", slow)
    wait = DiskWait(lambda: tmp_path)
    assert not wait.wait(0.02)
    is_released.set()


def test_a_disk_that_fails_or_is_not_there_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "000001.seg").write_bytes(b"x")
    monkeypatch.setattr(os, "fdatasync", fail)
    assert (DiskWait(lambda: tmp_path).wait(5.0), DiskWait(lambda: None).wait(5.0)) == (False, False)
