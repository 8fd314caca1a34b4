"""Context goes to our own hosts only, and what comes in is looked at by its length first."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn

import aiohttp
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tickspan.instrumentation import propagation
from tickspan.instrumentation.hosts import HostList
from tickspan.instrumentation.propagation import (
    GuardedPropagator,
    PropagationRules,
    install,
    is_installed,
    propagations,
    towards,
    uninstall,
)
from tickspan.recording import diagnostics
from tickspan.testing import CountedIds

TRACEPARENT = "00-00000000000000000000000000000001-0000000000000001-01"
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Attributes = Mapping[str, str]


@pytest.fixture(autouse=True)
def counted_anew() -> None:
    propagation._TALLY.restart()
    propagation._told_at.clear()


@pytest.fixture
def told() -> Generator[list[str]]:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handlers = diagnostics.handlers
    diagnostics.handlers = list[logging.Handler]((Keep(),))
    yield lines
    diagnostics.handlers = handlers


def stock() -> TextMapPropagator:
    return CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


def guarded(**settings: tuple[str, ...]) -> GuardedPropagator:
    return GuardedPropagator(stock(), PropagationRules.of(**settings))


def in_span(
    attributes: Attributes | None = None, kind: SpanKind = SpanKind.CLIENT, context: Context | None = None
) -> Context:
    """A context in which such a span, the first of its trace, is current."""
    tracer = TracerProvider(shutdown_on_exit=False, id_generator=CountedIds()).get_tracer("test")
    return trace.set_span_in_context(tracer.start_span("call", context, kind, attributes), context)


def injected(propagator: GuardedPropagator, context: Context, carrier: Any = None) -> dict[str, str]:
    headers: dict[str, str] = {} if carrier is None else carrier
    propagator.inject(headers, context)
    return headers


# Out: where context goes


@pytest.mark.parametrize(
    "attributes",
    [
        {"server.address": "localhost"},
        {"server.address": "10.1.2.3"},
        {"url.full": "http://orders.internal:8080/x"},
        {"http.url": "http://api.example.com/x"},
        {"net.peer.name": "redis"},
        {"http.host": "api.default.svc:80"},
        {"server.address": "::1", "url.full": "http://[::1]:4318/"},
    ],
)
def test_context_goes_to_our_hosts(attributes: Attributes) -> None:
    propagator = guarded(hosts=("example.com",))
    assert injected(propagator, in_span(attributes)) == {"traceparent": TRACEPARENT}
    assert propagations() == {"ours": 1}


@pytest.mark.parametrize(
    "attributes",
    [
        {"server.address": "api.binance.com"},
        {"url.full": "https://api.binance.com/x"},
        {"url.full": "https://localhost@evil.net/"},
        {"url.full": "https://evil.net\\@localhost/"},
        {"url.full": "https://localhost\t.evil.net/"},
        {"http.url": "http://[bad/"},
        {"http.host": "badexample.com:80"},
        {"server.address": "localhost", "url.full": "https://api.binance.com/x"},
        {"server.address": "134744072"},
    ],
)
def test_context_goes_to_no_other_host(attributes: Attributes) -> None:
    assert injected(guarded(hosts=("example.com",)), in_span(attributes)) == {}
    assert propagations() == {"foreign": 1}


def test_everywhere_is_everywhere() -> None:
    propagator = guarded(hosts=("*",))
    assert injected(propagator, in_span({"server.address": "api.binance.com"})) == {
        "traceparent": TRACEPARENT
    }
    assert injected(propagator, in_span()) == {"traceparent": TRACEPARENT}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SpanKind.PRODUCER, {"traceparent": TRACEPARENT}),
        (SpanKind.CLIENT, {}),
        (SpanKind.INTERNAL, {}),
        (SpanKind.SERVER, {}),
    ],
)
def test_without_a_known_host_only_a_message_goes(kind: SpanKind, expected: dict[str, str]) -> None:
    assert injected(guarded(), in_span(kind=kind)) == expected


def test_a_message_to_a_foreign_broker_does_not_go() -> None:
    assert injected(guarded(), in_span({"server.address": "kafka.vendor.com"}, SpanKind.PRODUCER)) == {}


def test_the_environment_of_a_sub_process_gets_context() -> None:
    class EnvironmentSetter(Setter[dict[str, str]]):
        def set(self, carrier: dict[str, str], key: str, value: str) -> None:
            carrier[key.upper()] = value

    environ: dict[str, str] = {}
    guarded().inject(environ, in_span(kind=SpanKind.INTERNAL), EnvironmentSetter())
    assert environ == {"TRACEPARENT": TRACEPARENT}


@pytest.mark.parametrize("system", ["db.system", "db.system.name"])
def test_a_statement_gets_none_wherever_its_database_is(system: str) -> None:
    context = in_span({system: "postgresql", "server.address": "localhost"})
    assert injected(guarded(hosts=("*",)), context) == {}
    assert propagations() == {"statement": 1}


def test_a_carrier_may_know_its_host_and_the_caller_may_say_it() -> None:
    context = in_span(kind=SpanKind.INTERNAL)
    told = [
        "traceparent" in injected(guarded(), context, {"Host": "localhost:80"}),
        "traceparent" in injected(guarded(), context, {"Host": "api.binance.com"}),
        "traceparent" in injected(guarded(), towards("localhost:80", context)),
        "traceparent" in injected(guarded(), towards("api.binance.com", context), {"Host": "localhost"}),
    ]
    assert told == [True, False, True, False]


def test_an_unsampled_span_that_knows_its_host_is_propagated_as_unsampled() -> None:
    class Silent(trace.NonRecordingSpan):
        attributes = {"server.address": "localhost"}  # noqa: RUF012 - a fake
        kind = SpanKind.CLIENT

    span = Silent(trace.SpanContext(1, 1, is_remote=False))
    headers = injected(guarded(), trace.set_span_in_context(span))
    assert headers == {"traceparent": TRACEPARENT[:-2] + "00"}


def test_the_current_context_counts_if_none_is_given() -> None:
    headers: dict[str, str] = {}
    guarded().inject(headers)
    assert (headers, propagations()) == ({}, {"unknown": 1})


# Out: hop by hop, baggage, headers


def test_what_a_former_hop_has_set_is_taken_out_for_a_foreign_one() -> None:
    propagator = guarded(baggage_hosts=("localhost",), baggage_keys=("desk",))
    context = in_span({"server.address": "localhost"}, context=with_baggage())
    headers = injected(propagator, context, {"Accept": "*/*"})
    assert headers == {"Accept": "*/*", "traceparent": TRACEPARENT, "baggage": "desk=eu"}
    assert injected(propagator, in_span({"server.address": "evil.net"}), headers) == {"Accept": "*/*"}


def test_headers_can_be_asked_to_leave_before_the_next_hop() -> None:
    propagator = guarded()
    headers = injected(propagator, in_span({"server.address": "localhost"}))
    propagator.withdraw(headers, "localhost:80")
    assert headers == {"traceparent": TRACEPARENT}
    propagator.withdraw(headers, "evil.net:80")
    assert headers == {}


def test_a_callers_own_header_stays() -> None:
    context = in_span({"server.address": "evil.net"})
    assert injected(guarded(), context, {"traceparent": GIVEN}) == {"traceparent": GIVEN}


def with_baggage() -> Context:
    return baggage.set_baggage("desk", "eu", baggage.set_baggage("password", "M4rker"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"baggage_hosts": ("localhost",)}, None),
        ({"baggage_keys": ("desk",)}, None),
        ({"baggage_hosts": ("localhost",), "baggage_keys": ("desk",)}, "desk=eu"),
        ({"baggage_hosts": ("*",), "baggage_keys": ("desk",)}, "desk=eu"),
        ({"baggage_hosts": ("example.com",), "baggage_keys": ("desk",)}, None),
    ],
)
def test_baggage_goes_only_to_listed_hosts_under_listed_keys(
    settings: dict[str, tuple[str, ...]], expected: str | None
) -> None:
    headers = injected(guarded(**settings), in_span({"server.address": "localhost"}, context=with_baggage()))
    assert (headers.get("baggage"), headers["traceparent"]) == (expected, TRACEPARENT)


class Fixed(TextMapPropagator):
    """Sets one field, and raises on the way in."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        setter.set(carrier, self.name, self.value)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        raise LookupError

    @property
    def fields(self) -> set[str]:
        return {self.name}


class Broken(Fixed):
    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        raise LookupError

    @property
    def fields(self) -> NoReturn:
        raise LookupError


@pytest.mark.parametrize(("name", "value"), [("x", "a\r\nb: c"), ("x", "a\n"), ("x", "a\0"), ("x\r", "a")])
def test_no_line_break_reaches_a_header(name: str, value: str) -> None:
    propagator = GuardedPropagator(Fixed(name, value))
    assert injected(propagator, in_span({"server.address": "localhost"})) == {}
    assert propagations() == {"ours": 1, "unsafe": 1}


@pytest.mark.usefixtures("told")
def test_a_propagator_that_raises_does_not_keep_the_others_from_their_turn() -> None:
    propagator = GuardedPropagator(CompositePropagator([Broken("a", "b"), TraceContextTextMapPropagator()]))
    context = in_span({"server.address": "localhost"})
    assert [injected(propagator, context) for _ in range(12)] == [{"traceparent": TRACEPARENT}] * 12
    assert propagator.fields == {"traceparent", "tracestate"}
    remote = trace.get_current_span(propagator.extract({"traceparent": GIVEN})).get_span_context()
    assert remote.span_id == 0xB7AD6B7169203331


@pytest.mark.usefixtures("told")
def test_if_nothing_can_be_extracted_the_context_is_as_it_was() -> None:
    propagator = GuardedPropagator(Broken("a", "b"))
    context = Context({"mine": 1})
    assert propagator.extract({}, context) is context
    assert propagator.extract({}) == Context()


class Sealed(dict[str, str]):
    def __setitem__(self, key: str, value: str) -> NoReturn:
        raise TypeError

    __delitem__ = get = __setitem__  # pyright: ignore[reportAssignmentType]


def test_a_carrier_that_refuses_does_no_harm() -> None:
    assert injected(guarded(), in_span({"server.address": "localhost"}), Sealed()) == {}
    propagator, hop = guarded(), in_span({"server.address": "evil.net"})
    headers = injected(propagator, in_span({"server.address": "localhost"}))
    assert injected(propagator, hop, Sealed(headers)) == headers
    assert injected(guarded(), in_span(), Sealed()) == {}
    guarded().inject(None, in_span({"server.address": "evil.net"}))
    assert guarded().extract(None) == Context()
    assert propagations() == {"ours": 2, "foreign": 2, "unknown": 1, "carrier": 4}


# In: length before parsing


def extracted(**fields: str | list[str]) -> tuple[int, dict[str, str], dict[str, object]]:
    """Span id, trace state and baggage that come in with these headers."""
    context = guarded().extract(fields, Context())
    span_context = trace.get_current_span(context).get_span_context()
    return span_context.span_id, dict(span_context.trace_state), dict(baggage.get_all(context))


SPAN_ID = 0xB7AD6B7169203331


def test_what_is_well_formed_comes_in() -> None:
    told = extracted(traceparent=GIVEN, tracestate=["a=1,b@c=2", "d=3"], baggage="x=1;p=2, y = b%20c ,z=")
    assert told == (SPAN_ID, {"a": "1", "b@c": "2", "d": "3"}, {"x": "1;p=2", "y": "b c", "z": ""})
    assert propagations() == {}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("traceparent", "0" * 513, "too_long"),
        ("traceparent", "nonsense", "malformed"),
        ("traceparent", [GIVEN, GIVEN], "malformed"),
        ("traceparent", f"{GIVEN}\n", "unsafe"),
        ("traceparent", f"{GIVEN}\0", "unsafe"),
    ],
)
def test_a_bad_parent_is_ignored_and_counted(field: str, value: str | list[str], reason: str) -> None:
    assert extracted(**{field: value}) == (0, {}, {})
    assert propagations() == {reason: 1}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("tracestate", "reason"),
    [
        ("a=" + "1" * 511, "too_long"),
        (["a=" + "1" * 200, "b=" + "1" * 200, "c=" + "1" * 200], "too_long"),
        (",".join(f"k{number}=1" for number in range(33)), "too_many"),
        ("a=1,B=2", "malformed"),
        ("a=1\r\nX: y", "unsafe"),
    ],
)
def test_a_bad_state_is_ignored_and_its_parent_kept(tracestate: str | list[str], reason: str) -> None:
    assert extracted(traceparent=GIVEN, tracestate=tracestate) == (SPAN_ID, {}, {})
    assert propagations() == {reason: 1}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("given", "kept", "reason"),
    [
        ("a=" + "1" * 8191, {}, "too_long"),
        (",".join(f"k{number}=1" for number in range(65)), {}, "too_many"),
        ("a=1,no value,b=2", {"a": "1", "b": "2"}, "malformed"),
        ("a=1,b=\u00e9", {"a": "1"}, "malformed"),
        ("a=1\nb", {}, "unsafe"),
    ],
)
def test_bad_baggage_is_ignored_and_counted(given: str, kept: dict[str, str], reason: str) -> None:
    assert extracted(baggage=given) == (0, {}, kept)
    assert propagations() == {reason: 1}


def test_what_was_ignored_is_told_once_a_minute_by_length_and_head(
    told: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(propagation.time, "monotonic", lambda: now[0])
    for _ in range(3):
        extracted(traceparent="\x1b[31m\r\n" + "M4rker" * 2_000_000)
    now[0] = 61.0
    extracted(traceparent="x" * 600)
    assert told == [
        "incoming traceparent ignored (too_long): 12000007 characters, beginning '\\x1b[31m\\r\\n"
        + ("M4rker" * 5)[:25]
        + "'",
        f"incoming traceparent ignored (too_long): 600 characters, beginning '{'x' * 32}'",
    ]
    assert (propagations(), {record.name for record in caplog.records}) == ({"too_long": 4}, {"tickspan"})


def test_fields_of_other_propagators_are_bounded_too(told: list[str]) -> None:
    class Reading(Fixed):
        def extract(
            self,
            carrier: CarrierT,
            context: Context | None = None,
            getter: Getter[CarrierT] = default_getter,
        ) -> Context:
            return Context({"read": getter.get(carrier, "b3"), "keys": list(getter.keys(carrier))})

    propagator = GuardedPropagator(Reading("a", "b"))
    assert propagator.extract({"b3": "0"}) == {"read": ["0"], "keys": ["b3"]}
    assert propagator.extract({"b3": "x" * 2000}) == {"read": None, "keys": ["b3"]}
    assert propagator.extract({"b3": [b"0"]}) == {"read": None, "keys": ["b3"]}  # pyright: ignore[reportArgumentType]
    assert len(told) == 2


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), st.text(max_size=100)))
def test_any_text_can_come_in(fields: dict[str, str]) -> None:
    assert isinstance(guarded().extract(fields, Context()), Context)


# Installed


@pytest.fixture
def global_propagator() -> Generator[TextMapPropagator]:
    before = propagate.get_global_textmap()
    yield before
    propagate.set_global_textmap(before)


def test_the_rules_are_put_around_what_is_configured(global_propagator: TextMapPropagator) -> None:
    assert not is_installed()
    installed = install()
    assert (installed.wrapped, is_installed()) == (global_propagator, True)
    again = install(PropagationRules(HostList(("example.com",))))
    assert (again.wrapped, again.fields) == (global_propagator, global_propagator.fields)
    assert repr(again) == (
        "<GuardedPropagator TraceContextTextMapPropagator, W3CBaggagePropagator to <HostList example.com>>"
    )
    uninstall()
    assert propagate.get_global_textmap() is global_propagator


class Echo(BaseHTTPRequestHandler):
    """Keeps host and parent of each request; sends who asks for `/to/HOST` there."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        host, _, port = self.headers["Host"].partition(":")
        self.seen.append((host, self.headers.get("traceparent")))
        self.send_response(302 if self.path.startswith("/to/") else 204)
        self.send_header("Location", f"http://{self.path.rpartition('/')[2]}:{port}/")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def port() -> Generator[int]:
    Echo.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


Get = Callable[[str, dict[str, str]], None]


def by_requests(url: str, headers: dict[str, str]) -> None:
    requests.get(url, headers=headers, timeout=10)


def by_aiohttp(url: str, headers: dict[str, str]) -> None:
    async def go() -> None:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers):
            pass

    asyncio.run(go())


def call(get: Get, url: str, **more: str) -> None:
    """As instrumentation of an HTTP client does it: a client span, its context into the headers."""
    tracer = TracerProvider(shutdown_on_exit=False, id_generator=CountedIds()).get_tracer("test")
    with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"url.full": url}):
        headers = dict(more)
        propagate.inject(headers)
        get(url, headers)


ONLY_LOCALHOST = PropagationRules.of(("none", "localhost"))


@pytest.fixture
def installed(global_propagator: TextMapPropagator) -> Generator[None]:
    install(ONLY_LOCALHOST)
    yield
    propagate.set_global_textmap(global_propagator)
    uninstall()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("get", [by_requests, by_aiohttp])
def test_an_allowed_server_gets_the_parent_and_a_foreign_one_does_not(get: Get, port: int) -> None:
    call(get, f"http://localhost:{port}/")
    call(get, f"http://127.0.0.1:{port}/")
    assert Echo.seen == [("localhost", TRACEPARENT), ("127.0.0.1", None)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("get", [by_requests, by_aiohttp])
def test_a_redirect_takes_the_parent_to_no_foreign_host(get: Get, port: int) -> None:
    call(get, f"http://localhost:{port}/to/127.0.0.1")
    call(get, f"http://localhost:{port}/to/localhost")
    assert Echo.seen == [
        ("localhost", TRACEPARENT),
        ("127.0.0.1", None),
        ("localhost", TRACEPARENT),
        ("localhost", TRACEPARENT),
    ]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("get", [by_requests, by_aiohttp])
def test_a_callers_own_header_follows_a_redirect(get: Get, port: int) -> None:
    call(get, f"http://127.0.0.1:{port}/to/127.0.0.1", traceparent=GIVEN)
    assert Echo.seen == [("127.0.0.1", GIVEN)] * 2


def test_clients_are_left_alone_again(global_propagator: TextMapPropagator, port: int) -> None:
    del global_propagator
    before = requests.Session.rebuild_auth
    install(ONLY_LOCALHOST)
    assert requests.Session.rebuild_auth is not before
    uninstall()
    assert requests.Session.rebuild_auth is before
    call(by_requests, f"http://localhost:{port}/to/127.0.0.1")
    assert Echo.seen == [("localhost", TRACEPARENT), ("127.0.0.1", TRACEPARENT)]
