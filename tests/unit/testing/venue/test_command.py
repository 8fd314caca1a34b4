import pytest

from tickspan.testing.venue import dialects
from tickspan.testing.venue.command import main


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--port", "99999"], "argument --port: expected 0 to 65535, got '99999'"),
        (["--partials", "a"], "argument --partials: expected shares such as 0.4,0.6; got 'a'"),
        (["--partials", "0.5"], "Behaviour.partials: expected shares above 0 that sum to 1; got (0.5,)"),
        (["--symbols", "BTC"], "symbols: expected 'BTC/USDT' or 'BTC/USDT=60000', got 'BTC'"),
        (["--balances", "BTC"], "argument --balances: expected amounts such as USDT=1000,BTC=1; got 'BTC'"),
        (["--balances", "BTC=x"], "Behaviour.balances: expected amounts, 0 or more; got {'BTC': 'x'}"),
        (["--rate", "reject"], "argument --rate: expected FAULT=CHANCE, got 'reject'"),
        (
            ["--rate", "mute=2"],
            "Behaviour.rates: expected chances from 0 to 1; got {<Fault.MUTE: 'mute'>: 2.0}",
        ),
        (["--dialect", "gopher"], f"dialect: expected one of {', '.join(dialects.names())}; got 'gopher'"),
    ],
)
def test_a_wrong_flag_is_one_clear_line_and_status_2(
    capsys: pytest.CaptureFixture[str], flags: list[str], told: str
):
    with pytest.raises(SystemExit) as ended:
        main(flags)

    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"python -m tickspan.testing.venue: {told}\n")


def test_an_unknown_fault_lists_all_that_are_known(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--next", "rejct"])

    assert capsys.readouterr().err == (
        "python -m tickspan.testing.venue: fault: expected one of rate_limit_429, ban_418, reject, "
        "accept_then_504, accept_then_reset, fill_before_ack, late_fill, duplicate_event, reorder, "
        "lost_event, sequence_gap, mute, disconnect; got 'rejct'\n"
    )
