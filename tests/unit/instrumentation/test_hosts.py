"""Which hosts are ours: suffixes match at a dot, and an address in disguise is no name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.instrumentation import hosts
from tickspan.instrumentation.hosts import HostList, host_of

PRIVATE = (
    "localhost",
    "api.localhost",
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "[::1]",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "fd00::1",
    "fe80::1%eth0",
    "::ffff:10.0.0.1",
    "redis",
    "REDIS",
    "collector.internal",
    "collector.internal.",
    "api.default.svc",
    "api.default.svc.cluster.local",
)
FOREIGN = (
    "api.binance.com",
    "8.8.8.8",
    "172.32.0.1",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "134744072",
    "0x8080808",
    "8.526344",
    "010.1.1.1",
    "internal.example.com",
    "evil-internal.com",
    "svc.example.com",
    "",
    "?",
    "localhost evil",
    "x" * 300,
)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_hosts_are_ours_unless_they_are_switched_off(host: str) -> None:
    answers = [HostList(entries, with_private=True).allows(host) for entries in ((), ("none",))]
    assert (answers, HostList().allows(host)) == ([True, False], False)


@pytest.mark.parametrize("host", FOREIGN)
def test_all_other_hosts_are_not(host: str) -> None:
    assert not HostList(with_private=True).allows(host)


@pytest.mark.parametrize(
    ("entry", "host", "expected"),
    [
        ("example.com", "example.com", True),
        ("example.com", "api.example.com", True),
        ("example.com", "badexample.com", False),
        ("example.com", "example.com.evil.net", False),
        ("*.example.com", "api.example.com", True),
        (".example.com", "API.Example.com.", True),
        (" example.com ", "example.com", True),
        ("203.0.113.0/24", "203.0.113.9", True),
        ("203.0.113.0/24", "203.0.114.9", False),
        ("203.0.113.7", "203.0.113.7", True),
        ("2001:db8::/32", "2001:db8::5", True),
        ("*", "api.binance.com", True),
        ("redis", "redis", True),
        ("none", "none", False),
    ],
)
def test_an_entry_is_a_suffix_an_address_or_a_network(entry: str, host: str, expected: bool) -> None:
    assert HostList((entry,)).allows(host) is expected


@pytest.mark.parametrize("entry", ["https://example.com", "a..b", "exam ple", "*.*", "10.0.0.0/33"])
def test_what_is_neither_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="expected a host"):
        HostList((entry,))


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("host", "host"),
        ("host:443", "host"),
        ("[::1]:443", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("10.0.0.1:80", "10.0.0.1"),
    ],
)
def test_a_port_is_no_part_of_a_host(place: str, expected: str) -> None:
    assert host_of(place) == expected


def test_answers_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_MAX_REMEMBERED", 2)
    listed = HostList(("example.com",))
    assert [listed.allows(f"{name}.example.com") for name in "abc"] == [True] * 3
    assert listed._answers == {"a.example.com": True, "b.example.com": True}


def test_a_list_says_whom_it_holds() -> None:
    assert [repr(HostList()), repr(HostList(("a.com", "b.com"), with_private=True))] == [
        "<HostList nobody>",
        "<HostList a.com, b.com and private hosts>",
    ]


@given(st.text(max_size=40))
def test_any_text_can_be_asked_for(host: str) -> None:
    assert not HostList(("example.com",)).allows(f"{host}.evil.net")
