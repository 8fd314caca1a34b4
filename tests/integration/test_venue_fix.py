"""The simulated venue's FIX acceptor, as two foreign libraries speak with it: simplefix and QuickFIX."""
# ruff: noqa: N802 - QuickFIX calls its application by these names
# and by position: the names `arg0` and `arg1` in its base class are SWIG's.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import pytest
import quickfix
import simplefix

from tickspan.testing.venue import Behaviour, Fault, VenueSimulator
from tickspan.testing.venue.fix import service

pytestmark = pytest.mark.integration

LIMIT = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "90000.00"))
RESTING = ((55, "BTC/USDT"), (54, "1"), (38, "1"), (40, "2"), (44, "10000.00"))
STATE = (150, 39, 14, 151)
"""ExecType, OrdStatus, CumQty, LeavesQty."""
DEADLINE_S = 10.0


def until(holds: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Client:
    """A FIX client of a socket and simplefix, that does what a test tells it to."""

    def __init__(
        self, venue: VenueSimulator, sender: str = "CLIENT", *, target: str = "VENUE", logon: Any = ()
    ) -> None:
        self._address = venue.connect.address
        self._sender, self._target = sender, target
        self._logon = logon
        self._number = 0
        self.connect()

    def connect(self) -> None:
        """Log on, the first time or again, and go on with the numbers."""
        self._socket = socket.create_connection(self._address, DEADLINE_S)
        self._parser: Any = simplefix.FixParser()
        self.say("A", (98, 0), (108, 30), *self._logon)

    def close(self) -> None:
        self._socket.close()

    def say(self, msg_type: str, *fields: tuple[int, Any], number: int | None = None) -> None:
        """Send a message under the next number, or another one."""
        self._number = number if number is not None else self._number + 1
        message: Any = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4")
        message.append_pair(35, msg_type)
        message.append_pair(49, self._sender)
        message.append_pair(56, self._target)
        message.append_pair(34, self._number)
        message.append_pair(52, time.strftime("%Y%m%d-%H:%M:%S", time.gmtime()))
        for tag, value in fields:
            message.append_pair(tag, value)
        self._socket.sendall(message.encode())

    def hear(self) -> Any:
        """The next message; None once the venue has ended the connection."""
        while (message := self._parser.get_message()) is None:
            data = self._received()
            if not data:
                return None
            self._parser.append_buffer(data)
        return message

    def _received(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError:
            return b""

    def heard(self, count: int, *tags: int) -> list[str]:
        """The next `count` messages: type, and the fields of `tags` where they are set."""
        return [shown(self.hear(), tags) for _ in range(count)]


def shown(message: Any, tags: Iterable[int]) -> str:
    if message is None:
        return "end"
    fields = (f"{tag}={message.get(tag).decode()}" for tag in tags if message.get(tag) is not None)
    return " ".join([message.message_type.decode(), *fields])


@contextmanager
def talk(*faults: Fault, **knobs: Any) -> Generator[tuple[VenueSimulator, Client]]:
    """A venue, and a client that has logged on."""
    knobs.setdefault("tick_interval_s", 0)
    with VenueSimulator(dialect="fix", seed=3, behaviour=Behaviour(**knobs)) as venue:
        client = Client(venue)
        assert client.heard(1, 34) == ["A 34=1"]
        for fault in faults:
            venue.next(fault)
        try:
            yield venue, client
        finally:
            client.close()


def test_an_order_is_reported_from_new_to_filled():
    with talk(partials=(0.4, 0.6)) as (venue, client):
        client.say("D", (11, "a"), (1, "ACC"), *LIMIT)
        told = client.heard(3, 37, 11, 17, 1, 55, *STATE)
    assert told == [
        "8 37=1000001 11=a 17=R1 1=ACC 55=BTC/USDT 150=0 39=0 14=0 151=1",
        "8 37=1000001 11=a 17=5000001 1=ACC 55=BTC/USDT 150=F 39=1 14=0.40000 151=0.60000",
        "8 37=1000001 11=a 17=5000002 1=ACC 55=BTC/USDT 150=F 39=2 14=1.00000 151=0",
    ]
    assert [order.client_id for order in venue.orders] == ["a"]
    assert [request.path for request in venue.requests] == ["A", "D"]


def test_a_fill_says_what_it_cost():
    with talk() as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(2, 31, 32, 6, 12, 13, 479, 851)[1] == (
            "8 31=60000.00 32=1 6=60000.00000000 12=0.00100000 13=3 479=BTC 851=2"
        )


def test_a_replacement_takes_the_orders_place_and_a_cancel_names_both():
    with talk() as (venue, client):
        told: list[str] = []
        for msg_type, *fields in (
            ("D", (11, "a"), *RESTING),
            ("G", (11, "b"), (41, "a"), *RESTING[:2], (38, "2"), *RESTING[3:]),
            ("F", (11, "c"), (41, "b"), *RESTING[:2]),
        ):
            client.say(msg_type, *fields)
            told += client.heard(1, 37, 11, 41, 38, *STATE)
    assert told == [
        "8 37=1000001 11=a 38=1 150=0 39=0 14=0 151=1",
        "8 37=1000001 11=b 41=a 38=2 150=5 39=0 14=0 151=2",
        "8 37=1000001 11=c 41=b 38=2 150=4 39=4 14=0 151=0",
    ]
    assert [(order.client_id, order.status.name) for order in venue.orders] == [
        ("a", "CANCELED"),
        ("b", "CANCELED"),
    ]


def test_what_was_filled_before_a_replacement_counts_on():
    with talk(partials=(0.4, 0.6), fill_gap_s=60) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        client.heard(2)
        client.say("G", (11, "b"), (41, "a"), *LIMIT[:2], (38, "2.4"), *LIMIT[3:])
        told = client.heard(2, 38, *STATE)
    assert told == [
        "8 38=2.4 150=5 39=1 14=0.40000 151=2.00000",
        "8 38=2.4 150=F 39=1 14=1.20000 151=1.20000",
    ]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (("F", (11, "x"), (41, "nobody"), *RESTING[:2]), "9 37=NONE 11=x 41=nobody 39=8 434=1 102=1"),
        (("F", (11, "x"), (41, "filled"), *RESTING[:2]), "9 37=1000001 11=x 41=filled 39=2 434=1 102=0"),
        (("G", (11, "x"), (41, "nobody"), *RESTING), "9 37=NONE 11=x 41=nobody 39=8 434=2 102=1"),
        (("G", (11, "filled"), (41, "open"), *RESTING), "9 37=1000002 11=filled 41=open 39=0 434=2 102=6"),
        (
            ("G", (11, "x"), (41, "open"), *RESTING[:2], (38, "100000"), *RESTING[3:]),
            "9 37=1000002 11=x 41=open 39=0 434=2 102=99",
        ),
    ],
)
def test_a_cancel_or_replacement_that_cannot_be_is_refused(request_: Any, told: str):
    with talk() as (_, client):
        client.say("D", (11, "filled"), *LIMIT)
        client.heard(2)
        client.say("D", (11, "open"), *RESTING)
        client.heard(1)
        client.say(*request_)
        assert client.heard(1, 37, 11, 41, 39, 434, 102) == [told]


def test_a_replacement_below_what_is_filled_is_refused():
    with talk(partials=(0.4, 0.6), fill_gap_s=60) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        client.heard(2)
        client.say("G", (11, "b"), (41, "a"), *LIMIT[:2], (38, "0.4"), *LIMIT[3:])
        assert client.heard(1, 39, 102) == ["9 39=1 102=99"]


def test_an_order_on_its_way_cannot_be_canceled_yet():
    with talk(ack_delay_s=0.2) as (_, client):
        client.say("D", (11, "a"), *RESTING)
        client.say("F", (11, "b"), (41, "a"), *RESTING[:2])
        assert client.heard(2, 102, 150) == ["9 102=3", "8 150=0"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ((*LIMIT[:2], (38, "1000"), *LIMIT[3:]), "8 150=8 39=8 103=3"),
        (((55, "FOO/BAR"), *LIMIT[1:]), "8 150=8 39=8 103=1"),
        ((*LIMIT[:2], (38, "0.0000001"), *LIMIT[3:]), "8 150=8 39=8 103=13"),
        ((*LIMIT[:4], (44, "1.001")), "8 150=8 39=8 103=99"),
        ((*LIMIT, (18, "1 6")), "8 150=8 39=8 103=99"),
    ],
)
def test_an_order_that_the_venue_does_not_take_is_rejected(fields: Any, told: str):
    with talk() as (venue, client):
        client.say("D", (11, "a"), *fields)
        assert client.heard(1, 150, 39, 103) == [told]
        assert venue.orders == ()


def test_a_client_id_is_good_for_one_order_for_ever():
    with talk() as (venue, client):
        client.say("D", (11, "a"), *LIMIT)
        client.heard(2)
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(1, 150, 103) == ["8 150=8 103=6"]
        client.say("D", (11, "a"), (97, "Y"), *LIMIT)
        assert client.heard(1, 17, 150, 39) == ["8 17=0 150=I 39=2"]
        assert len(venue.orders) == 1


def test_where_the_venue_assigns_ids_a_client_id_may_come_again():
    with talk(server_assigned_ids=True) as (venue, client):
        client.say("D", (11, "a"), *LIMIT)
        client.heard(2)
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(2, 37, 11, 150) == ["8 37=1000002 11=a 150=0", "8 37=1000002 11=a 150=F"]
        assert [order.client_id for order in venue.orders] == [
            "venue00000000001000001",
            "venue00000000001000002",
        ]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (("D", *LIMIT), "3 372=D 371=11 373=1"),
        (("D", (11, "a"), (54, "9"), *LIMIT[:1], *LIMIT[2:]), "3 372=D 371=54 373=5"),
        (("D", (11, "a"), *LIMIT[:2], *LIMIT[3:]), "3 372=D 371=38 373=1"),
        (("D", (11, "a"), *LIMIT, (59, "7")), "3 372=D 371=59 373=5"),
        (("F", (41, "a")), "3 372=F 371=11 373=1"),
        (("V", (262, "r"), (263, "1")), "3 372=V 371=55 373=1"),
        (("AF", (585, "7")), "3 372=AF 371=584 373=1"),
        (("D", (11, "a"), *LIMIT[:4]), "j 372=D 379=a 380=5"),
    ],
)
def test_a_message_that_is_not_as_it_should_be_is_refused_and_the_session_lives_on(message: Any, told: str):
    with talk() as (_, client):
        client.say(*message)
        assert client.heard(1, 372, 371, 373, 379, 380) == [told]
        client.say("1", (112, "alive"))
        assert client.heard(1, 112) == ["0 112=alive"]


def test_what_the_venue_does_not_have_is_refused_and_written_down():
    with talk() as (venue, client):
        client.say("AE", (571, "report"))
        assert client.heard(1, 45, 372, 380) == ["j 45=2 372=AE 380=3"]
        assert [(one.method, one.path) for one in venue.unimplemented] == [("FIX", "AE")]


def test_a_refusal_of_a_refusal_is_not_answered():
    with talk() as (_, client):
        client.say("j", (45, 1), (372, "j"), (380, 0))
        client.say("1", (112, "alive"))
        assert client.heard(1, 112) == ["0 112=alive"]


def test_the_state_of_one_order_or_of_all_can_be_asked_for():
    with talk() as (_, client):
        for client_id in ("a", "b"):
            client.say("D", (11, client_id), *RESTING)
        client.heard(2)
        client.say("H", (11, "a"), (790, "q1"), *RESTING[:2])
        client.say("H", (11, "x"), (37, "1000002"), *RESTING[:2])
        client.say("H", (11, "nobody"), (790, "q2"), *RESTING[:2])
        client.say("AF", (584, "all"), (585, "7"))
        told = client.heard(5, 37, 11, 790, 584, 911, 912, 17, 150, 39)
    assert told == [
        "8 37=1000001 11=a 790=q1 17=0 150=I 39=0",
        "8 37=1000002 11=b 17=0 150=I 39=0",
        "8 37=NONE 11=nobody 790=q2 17=0 150=I 39=8",
        "8 37=1000001 11=a 584=all 911=2 912=N 17=0 150=I 39=0",
        "8 37=1000002 11=b 584=all 911=2 912=Y 17=0 150=I 39=0",
    ]


def test_a_session_without_orders_is_told_so():
    with talk() as (_, client):
        client.say("AF", (584, "all"), (585, "7"))
        assert client.heard(1, 37, 150, 39) == ["8 37=NONE 150=I 39=8"]


def test_an_order_that_must_trade_now_expires_if_it_cannot():
    with talk() as (_, client):
        client.say("D", (11, "a"), *RESTING, (59, "3"))
        assert client.heard(2, 59, *STATE) == ["8 59=3 150=0 39=0 14=0 151=1", "8 59=3 150=C 39=C 14=0 151=0"]


def test_an_order_may_say_what_to_spend():
    with talk() as (_, client):
        client.say("D", (11, "a"), (55, "BTCUSDT"), (54, "1"), (152, "6000"), (40, "1"))
        assert client.heard(2, 38, 39) == ["8 38=0.10000 39=0", "8 38=0.10000 39=2"]


def test_market_data_comes_as_snapshots_or_as_changes_until_it_is_ended():
    with talk() as (venue, client):
        client.say("V", (262, "full"), (263, "1"), (55, "BTC/USDT"))
        client.say("V", (262, "inc"), (263, "1"), (265, "1"), (267, "1"), (269, "2"), (55, "ETHUSDT"))
        first = client.heard(2, 262, 55, 268)
        venue.tick()
        later = client.heard(2, 262, 55, 268)
        client.say("V", (262, "full"), (263, "2"), (55, "BTC/USDT"))
        client.say("1", (112, "over"))
        client.heard(1)
        venue.tick()
        assert client.heard(1, 262) == ["X 262=inc"]
    assert first == ["W 262=full 55=BTC/USDT 268=3", "W 262=inc 55=ETHUSDT 268=1"]
    assert later == ["W 262=full 55=BTC/USDT 268=3", "X 262=inc 55=ETHUSDT 268=1"]


def test_a_snapshot_alone_is_no_subscription():
    with talk() as (venue, client):
        client.say("V", (262, "once"), (263, "0"), (55, "BTC/USDT"))
        client.heard(1)
        venue.tick()
        client.say("1", (112, "quiet"))
        assert client.heard(1) == ["0"]


def test_market_data_of_an_unknown_market_is_refused():
    with talk() as (_, client):
        client.say("V", (262, "r"), (263, "1"), (55, "FOO/BAR"))
        assert client.heard(1, 262, 281) == ["Y 262=r 281=0"]


def test_reports_go_to_the_session_that_placed_the_order():
    with talk() as (venue, client):
        other = Client(venue, "OTHER")
        other.heard(1)
        other.say("D", (11, "theirs"), *LIMIT)
        assert other.heard(2, 11) == ["8 11=theirs"] * 2
        other.say("F", (11, "x"), (41, "mine"), *LIMIT[:2])
        assert other.heard(1, 102) == ["9 102=1"]
        client.say("1", (112, "nothing"))
        assert client.heard(1) == ["0"]
        other.close()


def test_a_session_has_one_connection_at_a_time():
    with talk() as (venue, client):
        second = Client(venue)
        assert second.hear() is None
        second.close()
        client.say("1", (112, "still here"))
        assert client.heard(1) == ["0"]


@pytest.mark.parametrize("logon", [((553, "me"), (554, "x")), ((554, "x"),), ((553, "me"),)])
def test_a_logon_with_wrong_credentials_is_told_so(logon: Any):
    with talk() as (venue, _):
        wrong = Client(venue, "OTHER", logon=logon)
        assert wrong.heard(2, 58) == ["5 58=Invalid username or password", "end"]
        wrong.close()


def test_a_logon_with_the_accounts_credentials_is_taken():
    with talk() as (venue, _):
        known = ((553, venue.connect.api_key), (554, venue.connect.secret))
        owner = Client(venue, "OTHER", logon=known)
        assert owner.heard(1) == ["A"]
        owner.close()


def test_who_asks_for_another_venue_is_cut():
    with talk() as (venue, _):
        wrong = Client(venue, "OTHER", target="ELSEWHERE")
        assert wrong.hear() is None
        wrong.close()


def test_who_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "_LOGON_PATIENCE_S", 0.1)
    with talk() as (venue, _):
        stranger = socket.create_connection(venue.connect.address, DEADLINE_S)
        assert stranger.recv(100) == b""
        stranger.close()


def test_who_leaves_too_much_unread_is_cut(monkeypatch: pytest.MonkeyPatch):
    with talk() as (_, client):
        monkeypatch.setattr(service, "_LONGEST_QUEUE_BYTES", -1)
        client.say("1", (112, "x"))
        assert client.heard(2) in (["0", "end"], ["end", "end"])


def test_an_order_may_be_refused_by_the_script():
    with talk(Fault.REJECT) as (venue, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(1, 37, 150, 39, 103) == ["8 37=NONE 150=8 39=8 103=0"]
        assert venue.orders == ()


def test_a_replacement_that_the_script_refuses_costs_the_old_order_too():
    with talk() as (venue, client):
        client.say("D", (11, "a"), *RESTING)
        client.heard(1)
        venue.next(Fault.REJECT)
        client.say("G", (11, "b"), (41, "a"), *RESTING)
        assert client.heard(2, 11, 434, 39, 150) == ["9 11=b 434=2 39=4", "8 11=a 39=4 150=4"]


def test_an_acknowledgement_may_never_come():
    with talk(Fault.ACCEPT_THEN_504) as (venue, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(1, 150, 39) == ["8 150=F 39=2"]
        assert len(venue.orders) == 1


def test_a_connection_that_breaks_before_the_acknowledgement_brings_it_when_asked():
    with talk(Fault.ACCEPT_THEN_RESET) as (venue, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(1) == ["end"]
        until(lambda: len(venue.executions) == 1)
        client.close()
        client.connect()
        client.say("2", (7, 2), (16, 0))
        assert client.heard(3, 34, 43, 150) == ["A 34=4", "8 34=2 43=Y 150=0", "8 34=3 43=Y 150=F"]


def test_fills_may_come_before_the_acknowledgement():
    with talk(Fault.FILL_BEFORE_ACK, partials=(0.4, 0.6)) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(3, *STATE) == [
            "8 150=F 39=1 14=0.40000 151=0.60000",
            "8 150=F 39=2 14=1.00000 151=0",
            "8 150=0 39=0 14=0 151=1",
        ]


def test_fills_before_the_acknowledgement_find_their_order_where_the_venue_assigns_ids():
    with talk(Fault.FILL_BEFORE_ACK, server_assigned_ids=True) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(2, 11, 150) == ["8 11=a 150=F", "8 11=a 150=0"]


def test_a_fill_may_come_after_the_last_state():
    with talk(Fault.LATE_FILL, late_fill_s=0.01) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(3, 17, 39, 14) == [
            "8 17=R1 39=0 14=0",
            "8 17=5000002 39=2 14=1.00000",
            "8 17=5000001 39=1 14=0.50000",
        ]


def test_a_report_may_come_twice_and_says_so():
    with talk(Fault.DUPLICATE_EVENT) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(3, 34, 97, 17) == ["8 34=2 17=R1", "8 34=3 17=5000001", "8 34=4 97=Y 17=5000001"]


def test_reports_may_change_places():
    with talk(Fault.REORDER, partials=(0.4, 0.6)) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(3, 34, 17) == ["8 34=2 17=R1", "8 34=3 17=5000002", "8 34=4 17=5000001"]


def test_a_report_may_be_lost():
    with talk(Fault.LOST_EVENT, partials=(0.4, 0.6)) as (_, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(2, 34, 14) == ["8 34=2 14=0", "8 34=3 14=1.00000"]


def test_numbers_may_jump_and_a_resend_request_gets_a_gap_fill():
    with talk(Fault.SEQUENCE_GAP) as (venue, client):
        client.say("V", (262, "r"), (263, "1"), (55, "BTC/USDT"))
        client.heard(1)
        venue.tick("BTCUSDT")
        assert client.heard(1, 34) == ["W 34=10"]
        client.say("2", (7, 3), (16, 9))
        assert client.heard(1, 34, 123, 36) == ["4 34=3 123=Y 36=10"]


def test_a_mute_venue_still_sends_heartbeats():
    with talk(Fault.MUTE, mute_s=60) as (venue, client):
        client.say("V", (262, "r"), (263, "1"), (55, "BTC/USDT"))
        client.heard(1)
        venue.tick()
        client.say("D", (11, "a"), *LIMIT)
        until(lambda: len(venue.executions) == 1)
        client.say("1", (112, "alive"))
        assert client.heard(2, 150, 112) == ["8 150=0", "0 112=alive"]


def test_every_connection_may_break():
    with talk(Fault.DISCONNECT) as (venue, client):
        venue.tick()
        assert client.heard(1) == ["end"]


def test_a_message_may_be_one_too_many():
    with talk(Fault.RATE_LIMIT_429, rate_limit_burst=2) as (venue, client):
        for client_id in ("a", "b", "c"):
            client.say("D", (11, client_id), *RESTING)
        assert client.heard(3, 379, 380, 58, 11) == [
            "j 379=a 380=0 58=Throttle limit exceeded",
            "j 379=b 380=0 58=Throttle limit exceeded",
            "8 11=c",
        ]
        assert [order.client_id for order in venue.orders] == ["c"]


def test_orders_have_a_budget():
    with talk(order_limit_10s=1) as (_, client):
        client.say("D", (11, "a"), *RESTING)
        client.say("D", (11, "b"), *RESTING)
        assert sorted(client.heard(2, 11, 379)) == ["8 11=a", "j 379=b"]


def test_a_session_may_be_banned():
    with talk(Fault.BAN_418) as (venue, client):
        client.say("D", (11, "a"), *LIMIT)
        assert client.heard(2, 58) == ["5 58=Message rate exceeded: this session is banned", "end"]
        assert venue.orders == ()


def test_the_venues_clock_may_be_ahead():
    with talk(clock_skew_s=60) as (_, client):
        client.say("1", (112, "x"))
        told = client.hear().get(52).decode()
    ahead_s = time.mktime(time.strptime(told[:17], "%Y%m%d-%H:%M:%S")) - time.mktime(time.gmtime())
    assert 55 < ahead_s < 65


class App(quickfix.Application):
    """Takes down what it gets."""

    def __init__(self, logon: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__()
        self.logon = logon
        self.session: Any = None
        self.told: list[str] = []

    def onCreate(self, session: Any) -> None:
        self.session = session

    def onLogon(self, session: Any) -> None:
        self.told.append("logon")

    def onLogout(self, session: Any) -> None:
        self.told.append("logout")

    def toAdmin(self, message: Any, session: Any) -> None:
        if message.getHeader().getField(35) == "A":
            for tag, value in self.logon:
                message.setField(quickfix.StringField(tag, value))

    def fromAdmin(self, message: Any, session: Any) -> None:
        if message.getHeader().getField(35) == "5" and message.isSetField(58):
            self.told.append(message.getField(58))

    def toApp(self, message: Any, session: Any) -> None:
        pass

    def fromApp(self, message: Any, session: Any) -> None:
        header = message.getHeader()
        kind = header.getField(35)
        shown = [f"{tag}={message.getField(tag)}" for tag in (11, 150, 39, 14) if message.isSetField(tag)]
        self.told.append(" ".join([kind, *shown, *(["again"] if header.isSetField(43) else [])]))

    def send(self, msg_type: str, *fields: tuple[int, str]) -> None:
        message: Any = quickfix.Message()
        message.getHeader().setField(quickfix.MsgType(msg_type))
        for tag, value in fields:
            message.setField(quickfix.StringField(tag, value))
        quickfix.Session.sendToTarget(message, self.session)

    def reports(self) -> list[str]:
        return [line for line in self.told if line.startswith("8")]


@contextmanager
def trading(
    venue: VenueSimulator, app: App, store: Any, kind: Any = quickfix.SocketInitiator, **more: Any
) -> Generator[None]:
    """Run a QuickFIX initiator, with its numbers in the folder `store`; it stops whatever happens."""
    settings: Any = quickfix.SessionSettings()
    settings.setFromString(venue.connect.fix_settings(store=str(store), **more))
    engine: Any = kind(app, quickfix.FileStoreFactory(settings), settings)
    engine.start()
    try:
        yield
    finally:
        engine.stop(force=True)
        # Two engines must not have one session at a time: the library's registry of sessions would break.
        del engine


FILLED = [
    "8 11=a 150=0 39=0 14=0",
    "8 11=a 150=F 39=1 14=0.40000",
    "8 11=a 150=F 39=2 14=1.00000",
]


@pytest.mark.parametrize("kind", [quickfix.SocketInitiator, quickfix.ThreadedSocketInitiator])
def test_quickfix_trades_here(tmp_path: Any, kind: Any):
    behaviour = Behaviour(tick_interval_s=0, partials=(0.4, 0.6))
    with VenueSimulator(dialect="fix", behaviour=behaviour) as venue:
        app = App(((553, venue.connect.api_key), (554, venue.connect.secret)))
        with trading(venue, app, tmp_path, kind):
            until(lambda: "logon" in app.told)
            app.send("D", (11, "a"), *LIMIT)
            until(lambda: len(app.reports()) == 3)
    assert app.reports() == FILLED


def test_quickfix_hears_why_its_logon_is_refused(tmp_path: Any):
    with VenueSimulator(dialect="fix") as venue:
        app = App(((553, "somebody"), (554, "guesses")))
        with trading(venue, app, tmp_path):
            until(lambda: "Invalid username or password" in app.told)
    assert "logon" not in app.told


def test_quickfix_recovers_what_it_missed(tmp_path: Any):
    with VenueSimulator(dialect="fix", behaviour=Behaviour(tick_interval_s=0)) as venue:
        app = App()
        with trading(venue, app, tmp_path):
            until(lambda: "logon" in app.told)
            venue.next(Fault.ACCEPT_THEN_RESET)
            app.send("D", (11, "a"), *LIMIT)
            until(lambda: len(app.reports()) == 2)
            app.send("D", (11, "b"), *LIMIT)
            until(lambda: len(app.reports()) == 4)
    assert app.reports() == [
        "8 11=a 150=0 39=0 14=0 again",
        "8 11=a 150=F 39=2 14=1 again",
        "8 11=b 150=0 39=0 14=0",
        "8 11=b 150=F 39=2 14=1",
    ]


def test_what_quickfix_sends_while_it_is_away_arrives_once(tmp_path: Any):
    with VenueSimulator(dialect="fix", behaviour=Behaviour(tick_interval_s=0)) as venue:
        app = App()
        with trading(venue, app, tmp_path):
            until(lambda: "logon" in app.told)
            venue.next(Fault.DISCONNECT)
            venue.tick()
            until(lambda: "logout" in app.told)
            app.send("D", (11, "a"), *LIMIT)
            until(lambda: len(app.reports()) == 2)
        assert [order.client_id for order in venue.orders] == ["a"]


def test_a_new_initiator_with_the_old_numbers_goes_on(tmp_path: Any):
    near = (*LIMIT[:4], (44, "59970.00"))
    with VenueSimulator(dialect="fix", behaviour=Behaviour(tick_interval_s=0, fill_delay_s=0)) as venue:
        first, second = App(), App()
        with trading(venue, first, tmp_path):
            until(lambda: "logon" in first.told)
            first.send("D", (11, "a"), *near)
            until(lambda: len(first.reports()) == 1)
        until(lambda: venue.tick() or venue.executions)
        with trading(venue, second, tmp_path):
            until(lambda: len(second.reports()) == 1)
    assert (first.reports(), second.reports()) == (FILLED[:1], ["8 11=a 150=F 39=2 14=1 again"])


def test_quickfix_finds_a_gap_and_has_it_filled(tmp_path: Any):
    with VenueSimulator(dialect="fix", behaviour=Behaviour(tick_interval_s=0)) as venue:
        app = App()
        with trading(venue, app, tmp_path):
            until(lambda: "logon" in app.told)
            venue.next(Fault.SEQUENCE_GAP)
            venue.tick()
            app.send("D", (11, "a"), *LIMIT)
            until(lambda: len(app.reports()) == 2)
            assert [request.path for request in venue.requests] == ["A", "D", "2"]


def test_quickfix_and_the_venue_keep_each_other_alive(tmp_path: Any):
    with VenueSimulator(dialect="fix", behaviour=Behaviour(tick_interval_s=0)) as venue:
        app = App()
        with trading(venue, app, tmp_path, HeartBtInt=1):
            until(lambda: "logon" in app.told)
            until(lambda: sum(request.path == "0" for request in venue.requests) >= 2)
            assert app.told == ["logon"]


def test_nothing_but_what_the_client_wrote_goes_over_the_wire(tmp_path: Any):
    with VenueSimulator(dialect="fix", behaviour=Behaviour(tick_interval_s=0)) as venue:
        app = App()
        with trading(venue, app, tmp_path):
            until(lambda: "logon" in app.told)
            app.send("D", (11, "a"), *LIMIT)
            until(lambda: len(app.reports()) == 2)
        [order] = [request for request in venue.requests if request.path == "D"]
    tags = [field.partition("=")[0] for field in order.body.split("\x01")[:-1]]
    assert tags == ["8", "9", "35", "34", "49", "52", "56", "11", "38", "40", "44", "54", "55", "10"]
