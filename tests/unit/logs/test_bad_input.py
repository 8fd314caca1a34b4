"""What programs give to loggers that nobody expects: it is recorded as well as can be, and nothing raises."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs

from tickspan.received import ReceivedLog

from .conftest import Desk

MARKER = "M4rkerOfASecret"
CODE = ("code.file.path", "code.function.name", "code.line.number")

Write = Callable[..., None]


@pytest.fixture(params=["standard", "category", "direct"])
def write(request: pytest.FixtureRequest, desk: Desk, plain: logging.Logger) -> Write:
    """A logger's `warning(message, fields)`; handlers of the application see nothing of it."""
    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    category, direct = desk.logger("app.orders", "trading"), desk.direct("app.orders", "trading")

    def standard(message: object, fields: dict[str, Any]) -> None:
        plain.warning(message, extra=fields)

    def by_category(message: object, fields: dict[str, Any]) -> None:
        category.warning(message, extra=fields)

    def directly(message: object, fields: dict[str, Any]) -> None:
        direct.warning(message, **fields)

    return {"standard": standard, "category": by_category, "direct": directly}[request.param]


def fields_of(log: ReceivedLog) -> dict[str, Any]:
    """Attributes but what we say of every record."""
    return {
        key: value for key, value in log.attributes.items() if key not in {*CODE, "tickspan.log.category"}
    }


def test_a_megabyte_is_cut(desk: Desk, write: Write):
    write("x " * (1 << 19), {"blob": "y " * (1 << 19)})
    (log,) = desk.logs()
    assert str(log.body).startswith("x x x")
    assert str(log.body).endswith("…[cut]")
    assert len(desk.sink.entries[0].body) < 30_000


def test_texts_that_are_no_unicode_are_recorded(desk: Desk, write: Write):
    write("lone \ud800 surrogate", {"symbol\udfff": "\ud8ff!"})
    (log,) = desk.logs()
    assert log.body == "lone � surrogate"
    assert fields_of(log) == {"symbol�": "�!"}


def test_ten_thousand_fields_are_as_many_as_the_limit_lets_through(desk: Desk, write: Write):
    write("wide", {f"field{number}": number for number in range(10_000)})
    (log,) = desk.logs()
    assert (log.body, len(log.attributes)) == ("wide", 128)
    (record,) = ScopeLogs.FromString(desk.sink.entries[0].body).log_records
    assert len(log.attributes) + record.dropped_attributes_count >= 10_000


def test_any_value_is_a_field(desk: Desk, write: Write):
    class Raising:
        def __str__(self) -> str:
            raise ZeroDivisionError(MARKER)

        __repr__ = __str__

    loop: list[object] = []
    loop.append(loop)
    write(
        "odd",
        {
            "raising": Raising(),
            "loop": loop,
            "big": 1 << 80,
            "nan": float("nan"),
            "bytes": b"\xff\x00",
            "nothing": None,
            "class": int,
            "set": {1},
        },
    )
    (log,) = desk.logs()
    assert (log.body, len(fields_of(log))) == ("odd", 8)
    assert MARKER not in repr(log)


@pytest.mark.parametrize("key", [1, None, ("a", "b"), b"bytes", 1.5])
def test_a_key_that_is_no_text_becomes_one(desk: Desk, plain: logging.Logger, key: object):
    plain.warning("odd", extra={key: 5})  # type: ignore[dict-item] - what users do
    desk.logger("app.orders").warning("odd", extra={key: 5})  # type: ignore[dict-item] - as above
    first, second = (fields_of(log) for log in desk.logs())
    assert (len(first), first, list(first.values())) == (1, second, [5])


SECRETS = [
    ("password={}", {}),
    ("https://u:{}@venue.example/", {}),
    ("Authorization: Bearer {}", {}),
    ("connected", {"password": "{}"}),
    ("connected", {"note": "api_key={}"}),
    ("connected", {"deep": {"list": [{"api_secret": "{}"}]}}),
    ("connected", {"password={}": 1}),
    ("connected", {"https://u:{}@venue.example/": 1}),
    ("connected", {"deep": {"token={}": 1}}),
]


def filled(value: Any) -> Any:
    """With the marker in its place."""
    if isinstance(value, str):
        return value.replace("{}", MARKER)
    if isinstance(value, dict):
        return {filled(key): filled(item) for key, item in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("message", "fields"), SECRETS)
def test_a_secret_is_not_recorded_wherever_it_stands(
    desk: Desk, write: Write, message: str, fields: dict[str, Any]
):
    write(filled(message), filled(fields))
    assert len(desk.sink.entries) == 1
    assert MARKER.encode() not in desk.sink.entries[0].body


@pytest.mark.parametrize(
    ("template", "argument"),
    [
        ("login %s", f"password={MARKER}"),
        ("login %s", {"token": MARKER}),
        ("password=%s", MARKER),
        ("header %r", {"Authorization": f"Bearer {MARKER}"}),
        (f"password={MARKER} %s", "x"),
        (f"password={MARKER} %d", "x"),
    ],
)
def test_a_secret_in_template_or_arguments_is_not_recorded(
    desk: Desk, plain: logging.Logger, template: str, argument: object
):
    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    plain.warning(template, argument)
    desk.logger("app.orders", "risk").warning(template, argument)
    assert len(desk.sink.entries) == 2
    assert not any(MARKER.encode() in entry.body for entry in desk.sink.entries)


def test_a_secret_in_an_exception_is_not_recorded(desk: Desk, plain: logging.Logger):
    try:
        try:
            raise KeyError(f"password={MARKER}")
        except KeyError as error:
            raise ConnectionError(f"https://u:{MARKER}@venue.example/?token={MARKER}") from error
    except ConnectionError as error:
        error.add_note(f"api_key={MARKER}")
        plain.exception("failed")
        desk.logger("app.orders").exception("failed")
    assert [log.attributes["exception.type"] for log in desk.logs()] == ["ConnectionError"] * 2
    assert not any(MARKER.encode() in entry.body for entry in desk.sink.entries)


def test_what_our_own_code_logs_while_it_records_is_not_recorded_again(desk: Desk, plain: logging.Logger):
    class Telling:
        def __str__(self) -> str:
            logging.getLogger("tickspan.recording").warning("told by ours")
            logging.getLogger("opentelemetry.sdk").warning("told by theirs")
            return "order"

    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    plain.warning("%s", Telling())
    assert desk.bodies() == ["order"]


def test_what_changes_after_the_call_does_not_change_the_record(desk: Desk, write: Write):
    fields = {"order": {"id": "o-1", "legs": [1]}}
    write({"id": "o-1"}, fields)
    fields["order"]["id"] = "o-2"
    fields["order"]["legs"].append(2)  # type: ignore[attr-defined] - a list
    (log,) = desk.logs()
    assert (log.body, log.attributes["order"]) == ({"id": "o-1"}, {"id": "o-1", "legs": (1,)})


def test_fields_named_like_what_we_say_ourselves_do_not_stand_beside_it(desk: Desk, write: Write):
    write("one", {"code.line.number": 7, "tickspan.log.category": "audit", "symbol": "AAPL"})
    assert desk.sink.entries[0].body.count(b"code.line.number") <= 1
    assert desk.sink.entries[0].body.count(b"tickspan.log.category") == 1
    assert desk.logs()[0].attributes["symbol"] == "AAPL"


class Odd(logging.LogRecord):
    """A record whose attributes are nothing that the standard library makes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.__dict__.update(ODD)


ODD: dict[str, Any] = {}


@pytest.mark.parametrize(
    "odd",
    [
        {"created": None},
        {"created": float("nan")},
        {"created": -5.0},
        {"lineno": {}},
        {"pathname": []},
        {"name": None},
        {"funcName": b"x"},
        {"levelname": 5},
        {"exc_info": "text"},
        {"args": 5},
        {"args": {"a": 1}},
        {"msg": None},
        {"threadName": None},
    ],
)
def test_a_record_of_a_factory_that_makes_anything_is_recorded(
    desk: Desk, plain: logging.Logger, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
):
    monkeypatch.setitem(globals(), "ODD", odd)
    record = Odd("app.orders", logging.WARNING, __file__, 1, "filled", (), None, "f")
    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    for _ in range(20):
        plain.callHandlers(record)
    plain.warning("next")
    assert len(desk.logs()) == 21
    assert desk.capture.is_on


def test_a_record_without_what_every_record_has_is_recorded(desk: Desk):
    record = logging.makeLogRecord({"msg": "made by hand", "levelno": 30, "levelname": "WARNING"})
    for name in ("pathname", "exc_info", "created", "funcName", "args"):
        del record.__dict__[name]
    assert desk.capture.take(None, record)
    record.levelno = "30"  # type: ignore[assignment] - the standard library raises for it
    assert desk.capture.take(None, record)
    assert desk.bodies() == ["made by hand"] * 2


def test_a_template_that_does_not_fit_is_recorded_without_an_end_to_capture(
    desk: Desk, plain: logging.Logger
):
    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    for _ in range(30):
        plain.warning("%d orders", "many")
    assert desk.bodies() == ["%d orders"] * 30


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters may replace records from Python 3.12 on")
def test_a_record_that_a_filter_has_put_in_place_is_what_is_recorded(desk: Desk, plain: logging.Logger):
    def replace(record: logging.LogRecord) -> logging.LogRecord:
        return logging.makeLogRecord({**record.__dict__, "msg": "replaced", "args": ()})

    plain.addFilter(replace)  # type: ignore[arg-type] - from 3.12 on
    try:
        plain.warning("secret %s", "x")
        desk.logger("app.orders").warning("secret")
        logging.getLogger().setLevel(logging.ERROR)
    finally:
        plain.removeFilter(replace)  # type: ignore[arg-type] - as above
        logging.getLogger().setLevel(logging.WARNING)
    assert desk.bodies() == ["replaced", "replaced"]
