import pytest

from tickspan.testing.venue.binance.errors import BinanceError
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.binance.signing import (
    check_key,
    check_signature,
    check_time,
    message_payload,
    split_signature,
)
from tickspan.testing.venue.credentials import Credentials

# The example of Binance's own documentation.
DOCUMENTED = Credentials(
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
)
PAYLOAD = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
)
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_the_documented_example_is_signed_as_documented():
    assert DOCUMENTED.sign(PAYLOAD) == SIGNATURE
    check_signature(DOCUMENTED, PAYLOAD, SIGNATURE)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"{PAYLOAD}&signature={SIGNATURE}", ""),
        ("", f"{PAYLOAD}&signature={SIGNATURE}"),
        (f"signature={SIGNATURE}", PAYLOAD),
    ],
)
def test_a_signature_covers_query_then_body_without_itself(query: str, body: str):
    assert split_signature(query, body) == (PAYLOAD, SIGNATURE)


def test_a_message_is_signed_over_its_parameters_sorted_by_name():
    assert message_payload(Parameters({"b": "2", "signature": "x", "a": "true"})) == "a=true&b=2"


@pytest.mark.parametrize(("signature", "code"), [("", -1102), ("0" * 64, -1022)])
def test_a_missing_or_wrong_signature_is_refused(signature: str, code: int):
    with pytest.raises(BinanceError) as refused:
        check_signature(DOCUMENTED, PAYLOAD, signature)
    assert (refused.value.status, refused.value.code) == (400, code)


@pytest.mark.parametrize(("key", "code"), [("", -2014), ("a b", -2014), ("a" * 64, -2015)])
def test_a_missing_malformed_or_unknown_key_is_refused(key: str, code: int):
    with pytest.raises(BinanceError) as refused:
        check_key(DOCUMENTED, key)
    assert (refused.value.status, refused.value.code) == (401, code)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, -1102),
        ({"timestamp": "yesterday"}, -1100),
        ({"timestamp": "94999"}, -1021),
        ({"timestamp": "101000"}, -1021),
        ({"timestamp": "100000", "recvWindow": "60001"}, -1131),
        ({"timestamp": "98000", "recvWindow": "1000"}, -1021),
    ],
)
def test_a_request_from_outside_its_window_is_refused(values: dict[str, str], code: int):
    with pytest.raises(BinanceError) as refused:
        check_time(Parameters(values), 100_000)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "values", [{"timestamp": "95000"}, {"timestamp": "100999"}, {"timestamp": "41000", "recvWindow": "60000"}]
)
def test_a_request_from_within_its_window_passes(values: dict[str, str]):
    check_time(Parameters(values), 100_000)
