from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from tickspan.testing.venue import Behaviour, Fault, Market


def test_an_unknown_knob_is_an_error_that_lists_all():
    known = ", ".join(knob.name for knob in fields(Behaviour))
    with pytest.raises(TypeError) as told:
        Behaviour(fill_dealy_s=1, ack=2)  # pyright: ignore[reportCallIssue] (the misspelling is the point)

    assert str(told.value) == f"Behaviour: expected knobs of {known}; got ack, fill_dealy_s"


def test_an_unknown_fault_is_an_error_that_lists_all():
    known = ", ".join(fault.value for fault in Fault)
    with pytest.raises(ValueError, match="got 'rejct'") as told:
        Fault("rejct")

    assert str(told.value) == f"fault: expected one of {known}; got 'rejct'"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partials", (0.4, 0.4)),
        ("partials", (1.5, -0.5)),
        ("partials", ()),
        ("symbols", ()),
        ("ack_delay_s", -0.1),
        ("tick_burst", 0),
        ("rates", {Fault.REJECT: 1.1}),
        ("balances", {"BTC": "-1"}),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_what_was_expected(name: str, value: Any):
    with pytest.raises(ValueError, match=rf"^Behaviour\.{name}: expected .*; got "):
        replace(Behaviour(), **{name: value})


def test_every_knob_and_fault_tells_what_it_does():
    stories = [knob.metadata["story"] for knob in fields(Behaviour)] + [fault.story for fault in Fault]
    assert all(stories)
    assert len(set(stories)) == len(stories)


@pytest.mark.parametrize(
    ("text", "market"),
    [
        ("BTC/USDT", Market("BTC", "USDT", Decimal(60_000))),
        ("ABC/EUR", Market("ABC", "EUR", Decimal(100))),
        ("ABC/EUR=0.25", Market("ABC", "EUR", Decimal("0.25"))),
    ],
)
def test_a_symbol_is_a_pair_and_may_have_a_start_price(text: str, market: Market):
    assert Market.parse(text) == market


@pytest.mark.parametrize(
    "text", ["", "BTC", "BTC/", "/USDT", "BTC/USDT=", "BTC/USDT=0", "BTC/USDT=x", "B-C/USDT"]
)
def test_what_is_no_symbol_is_refused(text: str):
    with pytest.raises(ValueError, match="expected 'BTC/USDT'"):
        Market.parse(text)
