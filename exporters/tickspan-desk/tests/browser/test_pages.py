"""Every page of the desk, with the demo's data, in Chromium.

`TICKSPAN_PICTURES=FOLDER` keeps a picture of each page, as the documentation shows them.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = [pytest.mark.backends, pytest.mark.e2e, pytest.mark.timeout(300)]

WIDTH, HEIGHT = 1280, 720
PATHS = (
    "/traces",
    "/orders",
    "/operations",
    "/metrics",
    "/logs",
    "/queries",
    "/alerts",
    "/runtime",
    "/health",
)
"""Those of the menu."""
_START_TIMEOUT_S = 240.0
_STOP_TIMEOUT_S = 20.0
_URL = re.compile(r"https?://\S+#\S+")
_FOREIGN = ("OTEL_", "TICKSPAN_", "PYTHONPATH")


@dataclass(slots=True)
class Sheet:
    """A page of the browser, and what it complained of."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list[str])

    def open(self, path: str) -> Page:
        """Go there and wait until it is drawn. An address within the desk."""
        self.page.goto(f"{self.origin}{path}")
        self.page.wait_for_selector("main")
        return self.page


@pytest.fixture(scope="module")
def demo_desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of the desk of a demo that has played: its bots have traded and been in trouble."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment |= {"TICKSPAN_SPOOL_DIR": str(folder / "spool"), "XDG_STATE_HOME": str(folder / "state")}
    words = [sys.executable, "-m", "tickspan", "demo", "--seconds", "6", "--desk"]
    with subprocess.Popen(
        words, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        assert demo.stdout is not None
        try:
            yield _address(demo.stdout)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(_STOP_TIMEOUT_S)


def _address(output: IO[bytes]) -> str:
    """What the demo says at its end, when all is there to be looked at."""
    said, found = "", ""
    until_s = time.monotonic() + _START_TIMEOUT_S
    os.set_blocking(output.fileno(), False)
    while time.monotonic() < until_s:
        ready, _, _ = select.select([output], [], [], 1.0)
        said += (output.read() or b"").decode() if ready else ""
        found = next(iter(_URL.findall(said)), "")
        if found and "Ctrl-C" in said:
            return found
    raise AssertionError(f"no address in what the demo said:\n{said[-2000:]}")


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(chromium),
            args=["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
        )
        yield launched
        launched.close()


@pytest.fixture(params=["dark", "light"])
def theme(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def sheets(browser: Browser, demo_desk: str) -> Iterator[Callable[[str], Sheet]]:
    """A sheet for each theme, let in by the address's token; it complains of errors and of refusals."""
    made: dict[str, Sheet] = {}

    def sheet(theme: str) -> Sheet:
        if theme not in made:
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT},
                color_scheme="dark" if theme == "dark" else "light",
                reduced_motion="reduce",
            )
            page = context.new_page()
            opened = Sheet(page, demo_desk.partition("/#")[0].partition("#")[0].rstrip("/"))
            page.on(
                "console",
                lambda message: opened.complaints.append(message.text) if message.type == "error" else None,
            )
            page.on("pageerror", lambda error: opened.complaints.append(str(error)))
            page.goto(demo_desk)
            page.wait_for_selector("main")
            made[theme] = opened
        return made[theme]

    yield sheet
    for opened in made.values():
        opened.page.context.close()


def picture(page: Page, name: str, theme: str) -> None:
    """Keep what is on the screen, if somebody wants it."""
    folder = os.environ.get("TICKSPAN_PICTURES")
    if folder and theme == "dark":
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


_UNREADABLE = r"""() => {
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number)
  const light = ([r, g, b]) => [r, g, b]
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor)
      if (colour.length === 3 || colour[3] === 1) return colour
    }
    return [255, 255, 255]
  }
  const found = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement
    if (!text || !element.checkVisibility({visibilityProperty: true}) || element.closest("svg")) continue
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const place = `${element.tagName}.${element.className}`
    if (contrast < 4.5) found.push(`${place}: ${contrast.toFixed(2)} ${text.slice(0, 40)}`)
  }
  return [...new Set(found)]
}"""
"""Texts whose contrast is below WCAG 2.2's 4.5 (success criterion 1.4.3)."""

_TOO_WIDE = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_data_is_readable_and_fits(sheets: Callable[[str], Sheet], path: str, theme: str) -> None:
    sheet = sheets(theme)
    page = sheet.open(f"{path}?range=300")
    picture(page, path.strip("/"), theme)
    assert page.locator("main .empty").count() < page.locator("main section, main table").count()
    assert page.evaluate(_UNREADABLE) == []
    assert page.evaluate(_TOO_WIDE) == 0
    assert sheet.complaints == []


@pytest.mark.parametrize(
    ("path", "name", "row"),
    [
        ("/orders", "order", "filled"),
        ("/traces", "trace", "trading.feed.message"),
        ("/metrics", "metric", "trading.order.duration"),
        ("/queries", "query", "SELECT"),
        ("/alerts", "alert", "UnsafeOrderRetry"),
    ],
)
def test_what_a_row_leads_to_is_readable_and_fits(
    sheets: Callable[[str], Sheet], path: str, name: str, row: str, theme: str
) -> None:
    sheet = sheets(theme)
    page = sheet.open(f"{path}?range=300")
    page.locator("main table.rows tbody tr", has_text=row).locator("a").first.click()
    page.wait_for_url(lambda url: f"{path}/" in url)
    page.wait_for_selector("main")
    picture(page, name, theme)
    assert page.evaluate(_UNREADABLE) == []
    assert page.evaluate(_TOO_WIDE) == 0
    assert sheet.complaints == []


def test_every_page_is_reached_by_two_keys(sheets: Callable[[str], Sheet]) -> None:
    sheet = sheets("dark")
    page = sheet.open("/health")
    keys = {
        link.get_attribute("href"): link.get_attribute("data-key")
        for link in page.locator("header nav a").all()
    }
    for path, key in keys.items():
        page.keyboard.press("g")
        page.keyboard.press(key or "")
        page.wait_for_url(lambda url, path=path: url.partition("?")[0].endswith(path or ""))
        page.wait_for_selector("main")
    assert list(keys) == list(PATHS)


def test_rows_are_walked_and_opened_by_keys(sheets: Callable[[str], Sheet]) -> None:
    page = sheets("dark").open("/orders")
    first = page.locator("main table.rows tbody a").first.get_attribute("href")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/orders/" in url)
    assert first
    assert page.url.endswith(first)


def test_the_search_finds_an_order_by_its_id(sheets: Callable[[str], Sheet]) -> None:
    page = sheets("dark").open("/orders")
    order_id = page.locator("main table.rows tbody a").first.inner_text().strip()
    page.keyboard.press("/")
    page.keyboard.type(order_id)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/search" in url)
    assert order_id in page.locator("main").inner_text()


def test_help_is_a_key_away(sheets: Callable[[str], Sheet]) -> None:
    page = sheets("dark").open("/traces")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_nobody_gets_in_without_the_token(browser: Browser, demo_desk: str) -> None:
    context = browser.new_context()
    origin = demo_desk.partition("#")[0].rstrip("/")
    answers = [context.request.get(f"{origin}{path}").status for path in ("/orders", "/api/orders")]
    context.close()
    assert answers == [401, 401]
