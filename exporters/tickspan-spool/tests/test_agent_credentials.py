"""Credentials in the agent: whose they are, where they come from, and that nothing shows them."""

import pytest
from tickspan_spool.agent.credentials import Account, Credentials
from tickspan_spool.sender import Destination

_URL = "http://collector:4318/v1/traces"
_DESTINATION = Destination("traces", _URL, awaited_headers=("authorization",))
_ENVIRON = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=inherited",
    "OTEL_SDK_DISABLED": "true",
}


def _handed_over(value: str, service_name: str = "bot") -> dict[str, object]:
    target = {
        "signal": "traces",
        "url": _URL,
        "protocol": "http/protobuf",
        "headers": {"authorization": value},
    }
    return {"service_name": service_name, "credentials": [target]}


def test_a_service_gets_the_values_that_it_handed_over():
    credentials = Credentials({})
    new = credentials.take(_handed_over("a"))
    assert new == [Account("bot", "traces", _URL, "http/protobuf")]
    assert credentials.find("bot", _DESTINATION, may_inherit=False) == {"authorization": "a"}


def test_another_service_at_the_same_place_does_not():
    credentials = Credentials(_ENVIRON)
    credentials.take(_handed_over("a"))
    assert credentials.find("other", _DESTINATION, may_inherit=False) == {}


def test_the_same_values_again_are_not_new():
    credentials = Credentials({})
    news = [len(credentials.take(_handed_over(value))) for value in ("a", "a", "b")]
    assert (news, credentials.find("bot", _DESTINATION, may_inherit=False)) == (
        [1, 0, 1],
        {"authorization": "b"},
    )


def test_the_environment_speaks_for_those_who_cannot():
    credentials = Credentials(_ENVIRON)
    assert credentials.find("bot", _DESTINATION, may_inherit=True) == {"authorization": "inherited"}
    assert credentials.find("bot", _DESTINATION, may_inherit=False) == {}


@pytest.mark.parametrize(
    "request_", [{}, {"credentials": 1}, {"credentials": [1]}, {"credentials": [{"signal": "traces"}]}]
)
def test_what_is_no_handing_over_is_refused(request_: dict[str, object]):
    with pytest.raises(ValueError, match="credentials: expected"):
        Credentials({}).take(request_)


def test_the_repr_shows_no_value():
    credentials = Credentials(_ENVIRON)
    credentials.take(_handed_over("a-secret"))
    assert repr(credentials) == "<Credentials for 1 accounts>"


def test_values_are_kept_for_a_bounded_number_of_accounts():
    credentials = Credentials({})
    for number in range(300):
        credentials.take(_handed_over("a", f"bot {number}"))
    assert repr(credentials) == "<Credentials for 256 accounts>"
