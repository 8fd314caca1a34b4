"""The session layer of the FIX venue without a socket: messages in, messages out, on a clock of its own."""

from typing import Any

import pytest

from tickspan.testing.venue.fix.session import Clocks, Session
from tickspan.testing.venue.fix.tags import Tag
from tickspan.testing.venue.fix.wire import Field, Message, Splitter, encode, utc_timestamp

EPOCH_MS = 1_700_000_000_000


class Counterparty:
    """A client that sends what a test tells it to, and shows what it got: `35=8 34=2 37=1`."""

    def __init__(self, *, password: str | None = None) -> None:
        self.now_s = 0.0
        self.accepted: list[str] = []
        self.is_cut = False
        self._got: list[Message] = []
        self._password = password
        self._number = 0
        clocks = Clocks(lambda: EPOCH_MS + int(self.now_s * 1_000), lambda: self.now_s)
        self.session = Session("CLIENT", clocks, check=self._check, accept=self._accept)
        self.session.attach(self)

    def write(self, data: bytes) -> None:
        self._got += Splitter().feed(data)

    def close(self) -> None:
        self.is_cut = True
        self.session.detach()

    def connect(self) -> None:
        """Come back on a new connection."""
        self.is_cut = False
        self.session.attach(self)

    def say(self, msg_type: str, *fields: Field, number: int | None = None, **header: Any) -> None:
        """Send a message under the next number, or another one."""
        self._number = number if number is not None else self._number + 1
        sent_ms = EPOCH_MS + int(self.now_s * 1_000) + header.get("late_ms", 0)
        pairs: list[Field] = [
            (49, header.get("sender", "CLIENT")),
            (56, header.get("target", "VENUE")),
            (34, self._number if header.get("is_numbered", True) else None),
            (52, header.get("time", utc_timestamp(sent_ms))),
            *fields,
        ]
        [message] = Splitter().feed(encode(msg_type, pairs))
        self.session.receive(message)

    def log_on(self, *fields: Field, number: int | None = None) -> None:
        """Log on, and forget the answer."""
        self.say("A", (98, 0), (108, 30), *fields, number=number)
        self._got.clear()

    def heard(self, *tags: int) -> list[str]:
        """What came since the last look, with the fields of `tags` where they are set."""
        told = [
            " ".join(
                [f"35={message.type}", *(f"{tag}={message.get(tag)}" for tag in tags if message.get(tag))]
            )
            for message in self._got
        ]
        self._got.clear()
        return told

    def _check(self, message: Message) -> str | None:
        return None if message.get(Tag.PASSWORD) == self._password else "Invalid username or password"

    def _accept(self, session: Session, message: Message) -> None:
        del session
        self.accepted.append(message.get(Tag.CL_ORD_ID) or message.type)


@pytest.fixture
def client() -> Counterparty:
    """One that has logged on."""
    client = Counterparty()
    client.log_on()
    return client


def test_a_logon_is_answered_with_its_heartbeat_interval():
    client = Counterparty()
    client.say("A", (98, 0), (108, 17))
    assert client.heard(34, 49, 56, 108) == ["35=A 34=1 49=VENUE 56=CLIENT 108=17"]


def test_a_logon_that_does_not_pass_the_check_is_told_why_and_cut():
    client = Counterparty(password="right")
    client.say("A", (108, 30), (554, "wrong"))
    assert (client.heard(58), client.is_cut) == (["35=5 58=Invalid username or password"], True)


def test_a_logon_without_an_interval_is_refused():
    client = Counterparty()
    client.say("A", (98, 0))
    assert (client.heard(58), client.is_cut) == (["35=5 58=Invalid HeartBtInt (108)"], True)


def test_who_does_not_log_on_first_is_cut_without_a_word():
    client = Counterparty()
    client.say("D", (11, "a"))
    assert (client.heard(), client.is_cut, client.accepted) == ([], True, [])


def test_a_reset_begins_both_numberings_anew(client: Counterparty):
    client.session.send("8", [(37, 1)])
    client.log_on((141, "Y"), number=1)
    client.session.send("8", [(37, 2)])
    client.say("2", (7, 1), (16, 0))
    assert client.heard(34, 37, 36) == ["35=8 34=2 37=2", "35=4 34=1 36=2", "35=8 34=2 37=2"]


def test_application_messages_are_accepted_once_and_in_order(client: Counterparty):
    client.say("D", (11, "a"))
    client.say("D", (11, "b"))
    client.say("D", (11, "b"), (43, "Y"), number=3)
    assert (client.accepted, client.heard()) == (["a", "b"], [])


def test_a_gap_is_asked_for_once_and_what_came_too_early_comes_again(client: Counterparty):
    client.say("D", (11, "c"), number=4)
    client.say("D", (11, "d"), number=5)
    assert (client.accepted, client.heard(7, 16)) == ([], ["35=2 7=2 16=0"])
    client.say("D", (11, "a"), (43, "Y"), number=2)
    client.say("4", (43, "Y"), (123, "Y"), (36, 4), number=3)
    client.say("D", (11, "c"), (43, "Y"), number=4)
    client.say("D", (11, "d"), (43, "Y"), number=5)
    client.say("D", (11, "e"), number=6)
    assert (client.accepted, client.heard()) == (["a", "c", "d", "e"], [])


def test_a_new_gap_is_asked_for_again(client: Counterparty):
    client.say("0", number=4)
    client.say("4", (123, "Y"), (36, 5), number=2)
    client.say("0", number=9)
    assert client.heard(7) == ["35=2 7=2", "35=2 7=5"]


def test_a_logon_ahead_of_its_number_is_taken_and_the_gap_asked_for():
    client = Counterparty()
    client.say("A", (108, 30), number=6)
    assert client.heard(7) == ["35=A", "35=2 7=1"]


def test_a_number_that_is_too_low_ends_the_session(client: Counterparty):
    client.say("D", (11, "a"), number=1)
    assert client.heard(58) == ["35=5 58=MsgSeqNum too low, expecting 2 but received 1"]
    assert (client.is_cut, client.accepted) == (True, [])


def test_a_logon_with_a_number_that_is_too_low_ends_the_session(client: Counterparty):
    client.say("D", (11, "a"))
    client.say("A", (108, 30), number=1)
    assert client.heard(58) == ["35=5 58=MsgSeqNum too low, expecting 3 but received 1"]


def test_a_message_without_a_number_ends_the_session(client: Counterparty):
    client.say("D", (11, "a"), is_numbered=False)
    assert client.heard(58) == ["35=5 58=Required tag missing: MsgSeqNum (34)"]


@pytest.mark.parametrize("names", [{"sender": "OTHER"}, {"target": "OTHER"}])
def test_a_foreign_comp_id_is_rejected_and_ends_the_session(client: Counterparty, names: dict[str, Any]):
    client.say("D", (11, "a"), **names)
    assert client.heard(45, 372, 373) == ["35=3 45=2 372=D 373=9", "35=5"]
    assert (client.is_cut, client.accepted) == (True, [])


def test_a_message_of_another_time_is_rejected_and_ends_the_session(client: Counterparty):
    client.say("D", (11, "a"), late_ms=-121_000)
    assert client.heard(371, 373, 58) == [
        "35=3 371=52 373=10 58=SendingTime accuracy problem",
        "35=5 58=SendingTime accuracy problem",
    ]


def test_a_repeated_message_may_be_of_another_time(client: Counterparty):
    client.say("D", (11, "a"), (43, "Y"), late_ms=-121_000)
    assert client.accepted == ["a"]


def test_a_sending_time_that_cannot_be_read_is_rejected(client: Counterparty):
    client.say("D", (11, "a"), time="noon")
    assert (client.heard(371, 373), client.accepted) == (["35=3 371=52 373=6"], [])


def test_a_test_request_is_answered_with_its_id(client: Counterparty):
    client.say("1", (112, "are you there"))
    assert client.heard(112) == ["35=0 112=are you there"]


def test_what_is_asked_for_comes_again_with_gap_fills_between(client: Counterparty):
    client.say("1", (112, "x"))
    client.session.send("8", [(37, 1)])
    client.say("1", (112, "y"))
    client.session.send("8", [(37, 2)], is_repeated=True)
    client.session.send("X", [(55, "A")], is_kept=False)
    client.heard()
    client.now_s = 1.5
    client.say("2", (7, 1), (16, 0))
    assert client.heard(34, 37, 36, 43, 123, 97, 122) == [
        "35=4 34=1 36=3 43=Y 123=Y 122=20231114-22:13:21.500",
        "35=8 34=3 37=1 43=Y 122=20231114-22:13:20.000",
        "35=4 34=4 36=5 43=Y 123=Y 122=20231114-22:13:21.500",
        "35=8 34=5 37=2 43=Y 97=Y 122=20231114-22:13:20.000",
        "35=4 34=6 36=7 43=Y 123=Y 122=20231114-22:13:21.500",
    ]


def test_a_resend_request_may_name_an_end(client: Counterparty):
    for order_id in (1, 2, 3):
        client.session.send("8", [(37, order_id)])
    client.heard()
    client.say("2", (7, 2), (16, 3))
    assert client.heard(34, 37) == ["35=8 34=2 37=1", "35=8 34=3 37=2"]


def test_two_sides_that_both_miss_something_do_not_wait_for_each_other(client: Counterparty):
    client.session.send("8", [(37, 1)])
    client.heard()
    client.say("2", (7, 2), (16, 0), number=5)
    assert client.heard(34, 37, 7) == ["35=8 34=2 37=1", "35=2 34=3 7=2"]


def test_numbers_that_are_lost_are_filled(client: Counterparty):
    client.session.lose(7)
    client.session.send("8", [(37, 1)])
    assert client.heard(34) == ["35=8 34=9"]
    client.say("2", (7, 2), (16, 0))
    assert client.heard(34, 36) == ["35=4 34=2 36=9", "35=8 34=9"]


def test_a_sequence_reset_moves_the_expected_number_whatever_its_own(client: Counterparty):
    client.say("4", (36, 10), number=99)
    client.say("D", (11, "a"), number=10)
    assert (client.accepted, client.heard()) == (["a"], [])


def test_a_sequence_reset_never_goes_back(client: Counterparty):
    client.say("4", (36, 1))
    assert client.heard(371, 373) == ["35=3 371=36 373=5"]


def test_a_logout_is_answered_and_ends_the_connection(client: Counterparty):
    client.say("5")
    assert (client.heard(), client.is_cut) == (["35=5"], True)


def test_a_logout_is_taken_out_of_turn(client: Counterparty):
    client.say("5", number=9)
    assert (client.heard(), client.is_cut) == (["35=5"], True)


def test_what_is_said_while_nobody_is_connected_is_asked_for_later(client: Counterparty):
    client.close()
    client.session.send("8", [(37, 1)])
    assert client.heard() == []
    client.connect()
    client.say("A", (108, 30))
    client.say("2", (7, 2), (16, 0))
    assert client.heard(34, 37, 43, 36) == ["35=A 34=3", "35=8 34=2 37=1 43=Y", "35=4 34=3 43=Y 36=4"]


def test_a_silent_session_hears_a_heartbeat(client: Counterparty):
    client.now_s = 29
    client.session.beat()
    quiet = client.heard()
    client.now_s = 30
    client.session.beat()
    assert (quiet, client.heard()) == ([], ["35=0"])


def test_a_client_that_says_nothing_is_tested_and_then_cut(client: Counterparty):
    client.now_s = 46
    client.session.beat()
    assert client.heard(112) == ["35=1 112=test1"]
    client.now_s = 91
    client.session.beat()
    assert client.is_cut


def test_a_client_that_answers_the_test_stays(client: Counterparty):
    client.now_s = 46
    client.session.beat()
    client.say("0", (112, "test1"))
    client.now_s = 91
    client.session.beat()
    assert not client.is_cut


def test_a_session_says_how_it_stands(client: Counterparty):
    assert repr(client.session) == "<Session CLIENT logged on, in 2, out 2>"


def test_a_session_that_is_away_is_left_alone(client: Counterparty):
    client.close()
    client.session.log_out("banned")
    client.session.beat()
    assert client.heard() == []
