"""A real Chromium for the tests of pages, and what its pages said in their consoles and asked the network for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# As root there is no sandbox, and a container's shared memory is small.
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The installed Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


class Opened:
    """A page that was opened from a disk.

    Attributes:
        page: Playwright's.
        said: what its console said, and errors that no script caught.
        asked: addresses beside its own that it asked for.
    """

    def __init__(self, browser: Browser, path: Path | None = None, **context: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page: Page = browser.new_context(**context).new_page()
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        if path is not None:
            self.open(path)

    def open(self, path: Path) -> None:
        """Open a file, and wait for its load event."""
        self.page.goto(path.as_uri())
        self.asked.remove(path.as_uri())

    def close(self) -> None:
        """Close it, and what belongs to it."""
        self.page.context.close()

    def scroll_through(self) -> None:
        """Bring every part of the page into view, so that all is drawn that is drawn when it is seen."""
        self.page.evaluate(
            "async () => { for (let y = 0; y < document.body.scrollHeight; y += 400) {"
            " scrollTo(0, y); await new Promise((done) => setTimeout(done, 60)); } scrollTo(0, 0); }"
        )

    def drawn(self, selector: str, data: str = "mine") -> list[dict[str, Any]]:
        """The rows of data that a plot has drawn, once it has."""
        self.page.locator(selector).first.scroll_into_view_if_needed()
        self.page.wait_for_function("(place) => document.querySelector(place).drawn", arg=selector)
        script = "([place, name]) => document.querySelector(place).drawn.view.data(name)"
        found: list[dict[str, Any]] = self.page.evaluate(script, [selector, data])
        return found
