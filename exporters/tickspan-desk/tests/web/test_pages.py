"""Every page, over nothing, over a demo's data, and over names that want to be more than text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, Protocol

import httpx
import pytest
from tickspan_desk.store import Store
from tickspan_desk.store.reading import TraceEntry, TraceFilter, Window
from tickspan_desk.views.traces import traces_view
from tickspan_desk.web.app import make_app
from tickspan_desk.web.drawing import Dot, Label, element, scatter
from tickspan_desk.web.live import Live
from tickspan_desk.web.page import Asked
from tickspan_desk.web.pages import pages
from tickspan_desk.web.render import as_range, kept, query, travelling
from tickspan_desk.web.words import as_bytes, as_clock, as_count, as_date, as_duration, as_signed_duration
from tickspan_spool.receiver import Batch

from tickspan.demo import stage
from tickspan.received import ReceivedEvent, ReceivedLink, ReceivedSpan
from tickspan.semconv.trading import ORDER_CLIENT_ID
from tickspan.testing.otlp import OtlpServer

NS = 10**9
VOID = frozenset({"input", "link", "meta", "br", "hr", "img", "option"})


class Visits(Protocol):
    """A visitor, as the fixture makes them."""

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response: ...


MakeSpan = Callable[..., ReceivedSpan]
Browse = Callable[..., Visits]
Keep = Callable[[Sequence[ReceivedSpan]], None]


class Outline(HTMLParser):
    """Elements and attributes of a page; whether each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.crossed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in VOID:
            self.crossed.append(tag)


def outline(text: str) -> Outline:
    read = Outline()
    read.feed(text)
    return read


PATHS = [page.path for page in pages() if "{" not in page.path and page.path != "/compare"]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_over_an_empty_store_says_what_to_do(browse: Browse, path: str) -> None:
    visitor = browse()
    html, told = visitor.get(path), visitor.get(f"/api{path}")
    assert (html.status_code, told.status_code) == (200, 200)
    assert isinstance(told.json(), dict)
    assert outline(html.text).crossed == []


@pytest.mark.parametrize("path", [page.path for page in pages() if "{" in page.path])
def test_a_page_of_something_that_is_not_kept_says_so(browse: Browse, path: str) -> None:
    asked = path.partition("{")[0] + "nowhere"
    html, told = browse().get(asked), browse().get(f"/api{asked}")
    assert (html.status_code, told.status_code) == (404, 404)
    assert list(told.json()) == ["error"]


class Demo(Protocol):
    """Batches of a demo, as its receiver got them."""

    def __iter__(self) -> Iterator[Batch]: ...


@pytest.fixture(scope="module")
def demo() -> Sequence[Batch]:
    batches: list[Batch] = []
    keep = OtlpServer._keep

    def keep_too(server: OtlpServer, batch: Batch) -> None:
        batches.append(batch)
        keep(server, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OtlpServer, "_keep", keep_too)
        stage.perform(stage.DemoPlan(seconds=2, has_trouble=False), lambda _progress: None)
    return batches


@pytest.mark.e2e
def test_every_page_over_a_demos_data_answers_and_so_do_those_that_it_leads_to(
    store: Store, browse: Browse, demo: Sequence[Batch]
) -> None:
    for batch in demo:
        store.take(batch)
    store.settle()
    visitor = browse()
    answers = {path: visitor.get(f"{path}?range=86400") for path in PATHS}
    traces = visitor.get("/api/traces?range=86400").json()["lines"]
    orders = visitor.get("/orders?range=86400").text
    a, b = traces[0]["trace_id"], traces[1]["trace_id"]
    for path in (
        f"/traces/{a}",
        f"/traces/{a}?view=path",
        f"/traces/{a}?view=flame",
        f"/traces/{a}?view=logs",
        f"/compare?a={a}&b={b}",
        f"/traces/{a}.json",
        f"/traces/{a}.md",
    ):
        answers[path] = visitor.get(path)
    answers |= {f"/api{path}": visitor.get(f"/api{path}?range=86400") for path in PATHS}
    assert {path: answer.status_code for path, answer in answers.items() if answer.status_code != 200} == {}
    assert "/orders/" in orders
    assert all(
        outline(answer.text).crossed == []
        for answer in answers.values()
        if answer.headers["content-type"].startswith("text/html")
    )


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "</main></body><style>*{}</style>",
    "javascript:alert(1)",
    "\u202egnp.exe\u2066",
    "nul\x00 and \x1b[2J",
    "x" * 65_536,
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("view", ["", "view=path", "view=flame", "view=logs"])
def test_names_and_values_of_telemetry_are_text_on_every_page(
    keep: Keep, browse: Browse, span: MakeSpan, name: str, view: str
) -> None:
    clean = name.replace("\x00", "")
    one = span(
        1,
        clean,
        attributes={clean or "a": clean, ORDER_CLIENT_ID: clean},
        events=[ReceivedEvent(clean, 0, {clean or "a": clean})],
        links=[ReceivedLink("f" * 32, "a" * 16, {clean or "a": clean})],
        service=clean,
        scope=clean,
        error=clean,
    )
    keep([one, *(span(at, clean, at, at + 1, 1, service=clean) for at in range(2, 10))])
    trace_id = one.trace_id
    window = f"since=0&until={2 * one.start_ns}"
    visitor = browse()
    answers = [
        visitor.get(path)
        for path in (
            f"/traces?{window}",
            f"/traces/{trace_id}?{view}",
            f"/compare?a={trace_id}&b={trace_id}",
            f"/orders?{window}",
            f"/operations?{window}",
        )
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    for answer in answers:
        read = outline(answer.text)
        assert read.crossed == []
        assert not {"style", "img", "iframe", "object"} & read.names
        assert not [name for name in read.attributes if name.startswith("on") or name == "style"]
        assert answer.text.count("<script") == 2
        assert "\u202e" not in answer.text
        assert len(answer.text) < 300_000


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_request_asks_for_is_text_too(browse: Browse, text: str) -> None:
    visitor = browse()
    for path in ("/traces", "/search", "/orders", "/logs", "/nowhere"):
        query_of = str(
            httpx.QueryParams({"service": text, "text": text, "q": text, "range": text, "rows": text})
        )
        answer = visitor.get(f"{path}?{query_of[:60_000]}")
        assert answer.status_code == (404 if path == "/nowhere" else 200)
        assert answer.text.count("<script") == 2
        assert "onerror=" not in answer.text.replace("&#34;&gt;&lt;img src=x onerror=", "")


@pytest.mark.parametrize("path", [page.path for page in pages()])
def test_templates_have_no_script_and_no_style_of_their_own(browse: Browse, path: str) -> None:
    read = outline(browse().get(path.replace("{", "").replace("}", "")).text)
    assert "style" not in read.names | read.attributes
    assert not [name for name in read.attributes if name.startswith("on")]


def test_a_trace_is_copied_as_json_and_as_markdown(keep: Keep, browse: Browse, span: MakeSpan) -> None:
    one = span(1, "tick")
    keep([one])
    told, text = browse().get(f"/traces/{one.trace_id}.json"), browse().get(f"/traces/{one.trace_id}.md")
    assert told.json()["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] == one.span_id
    assert text.text.startswith("## tick: 1.00 ms")
    assert browse().get("/traces/abc.json").status_code == 404


def test_two_checked_traces_are_compared_older_first(keep: Keep, browse: Browse, span: MakeSpan) -> None:
    old, new = "1" * 32, "2" * 32
    keep([span(1, trace_id=old), span(1, start=50, end=100, trace_id=new)])
    told = browse().get(f"/api/compare?trace={new}&trace={old}").json()
    assert (told["a"]["trace_id"], told["b"]["trace_id"]) == (old, new)
    assert browse().get(f"/compare?trace={new}").status_code == 404


def entry(number: int, start_ns: int, duration_ns: int, errors: int = 0) -> TraceEntry:
    return TraceEntry(f"{number:032x}", "work", "bot", start_ns, start_ns + duration_ns, 1, errors, ("bot",))


def test_older_traces_are_asked_for_with_the_start_of_the_last() -> None:
    window = Window(0, 100 * NS)
    entries = [entry(at, at * NS, 10**6) for at in range(30, 0, -1)]
    full = traces_view(entries[:21], TraceFilter(), window, ["bot"], 20)
    rest = traces_view(entries[:5], TraceFilter(name="x"), window, ["bot"], 20)
    assert (len(full.lines), full.before_ns, full.has_filter) == (20, 11 * NS, False)
    assert (len(rest.lines), rest.before_ns, rest.has_filter) == (5, 0, True)


def test_dots_are_where_their_time_and_duration_say() -> None:
    window = Window(0, 100 * NS)
    view = traces_view([entry(2, 100 * NS, 10**9), entry(1, 0, 10**6, 1)], TraceFilter(), window, [], 10)
    assert [(dot.x, dot.y, dot.is_wrong) for dot in view.dots] == [(100.0, 100.0, False), (0.0, 0.0, True)]
    assert [(mark.at, mark.ns) for mark in view.durations] == [
        (0.0, 10**6),
        (33.33, 10**7),
        (66.67, 10**8),
        (100.0, 10**9),
    ]
    assert [mark.ns // NS for mark in view.times] == [0, 15, 30, 45, 60, 75, 90]


def test_pictures_escape_what_they_are_given() -> None:
    drawn = scatter([Dot(1, 1, '"><script>', "<script>")], [Label(0, "<b>")], [])
    assert "<script" not in drawn
    assert "&lt;b&gt;" in drawn
    assert element("a", "<", href='"') == '<a href="&#34;">&lt;</a>'


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1 µs"),
        (1_250_000, "1.25 ms"),
        (999_600, "1 ms"),
        (59_900_000_000, "59.9 s"),
        (3_600_000_000_000, "3,600 s"),
        (-2_000_000, "-2 ms"),
    ],
)
def test_durations_have_three_digits_that_mean_something(nanoseconds: int, text: str) -> None:
    assert as_duration(nanoseconds) == text


def test_numbers_times_and_sizes_read_as_people_write_them() -> None:
    told = (
        as_count(12_345),
        as_bytes(1536),
        as_bytes(3 << 30),
        as_clock(1_767_225_600_123_456_789),
        as_date(1_767_225_600_123_456_789),
        as_signed_duration(1500),
        as_signed_duration(0),
    )
    assert told == ("12,345", "1.5 KiB", "3 GiB", "00:00:00.123", "2026-01-01 00:00:00", "+1.5 µs", "0")


@pytest.mark.parametrize("nanoseconds", [-1, 0, 2**63, 2**64])
def test_no_time_that_a_sender_may_write_breaks_a_page(nanoseconds: int) -> None:
    assert as_clock(nanoseconds)
    assert as_date(nanoseconds)


def test_what_was_chosen_stays_in_links_and_forms() -> None:
    asked = Asked({}, {"range": "900", "before_ns": "7", "service": "a&b"}, 0)
    assert query(asked, before_ns=None) == "?range=900&service=a%26b"
    assert travelling(asked) == "?range=900"
    assert kept(asked) == '<input type="hidden" name="range" value="900"></input>'
    assert as_range(asked) == "15 minutes"


@pytest.mark.parametrize(
    ("given", "window"),
    [
        ({}, Window(6400 * NS + 1, 10_000 * NS + 1)),
        ({"range": "60"}, Window(9940 * NS + 1, 10_000 * NS + 1)),
        ({"since": "5", "until": "9"}, Window(5, 9)),
        ({"range": "nan", "since": "-1", "until": "1e9"}, Window(6400 * NS + 1, 10_000 * NS + 1)),
        ({"range": "inf", "until": "9" * 30}, Window(6400 * NS + 1, 10_000 * NS + 1)),
    ],
)
def test_a_range_of_time_is_exact_and_nonsense_counts_as_none(
    given: Mapping[str, str], window: Window
) -> None:
    assert Asked({}, given, 10_000 * NS).window() == window


def test_live_tells_the_version_at_first_and_whenever_it_changed(
    store: Store, keep: Keep, span: MakeSpan
) -> None:
    async def listen() -> list[bytes]:
        live = Live(store, period_s=0.001)
        heard: list[bytes] = []
        async for event in live.events():
            if event.startswith(b":"):
                continue
            heard.append(event)
            if len(heard) == 1:
                await asyncio.to_thread(keep, [span(1)])
            else:
                live.end()
        return heard

    first, second = asyncio.run(listen())
    assert first != second
    assert second == b"data: %d\n\n" % store.statistics().version


def test_json_of_a_page_has_what_the_page_has(keep: Keep, browse: Browse, span: MakeSpan) -> None:
    one = span(1, "tick", error="no")
    keep([one])
    told: dict[str, Any] = browse().get(f"/api/traces/{one.trace_id}").json()
    assert (told["name"], told["duration_ns"], told["errors"]) == ("tick", 1_000_000, 1)
    assert told["about"][0]["description"] == "no"


def test_an_application_without_pages_of_its_own_still_has_a_front(store: Store) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(store, shown=[]))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/")

    assert asyncio.run(ask()).status_code == 307


def test_json_is_json(store: Store, keep: Keep, browse: Browse, span: MakeSpan) -> None:
    keep([span(1, attributes={"inf": float("inf")})])
    assert store.statistics().spans == 1
    assert json.loads(browse().get("/api/traces?range=99999999999").text)
