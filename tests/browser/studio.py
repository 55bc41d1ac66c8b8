"""The dashboard as a person uses it: what is seen and clicked, by its labels."""

import re
import time
from contextlib import suppress

from playwright.sync_api import Locator, Page, TimeoutError, expect

from dashboard.login.session import COOKIE, Sessions

TRIES, TAKEN_MS = 5, 2_000  # clicks on an option, and how long each has to be taken
LEFT_MS = 15_000  # how long the way to another page may take


class Studio:
    """One browser tab on one dashboard.

    Args:
        page: the tab.
        url: the dashboard's address.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def log_in(self, token: str) -> None:
        """Open the dashboard and type the token."""
        self.page.goto(self.url)
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Log in").click()

    def be_known(self, token: str) -> None:
        """Have the cookie of somebody who has logged in; no page is opened, and none is drawn."""
        cookie = Sessions(token, time.time).new_cookie()
        self.page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": self.url}])

    def key(self, name: str) -> Locator:
        """The widget or container with this key."""
        return self.page.locator(f".st-key-{name}")

    def settled(self) -> None:
        """Wait until the page is connected and drawn: what is typed into a page that is being drawn may be lost."""
        app = self.page.get_by_test_id("stApp")
        expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
        expect(app).to_have_attribute("data-test-script-state", "notRunning")

    def visit(self, name: str) -> None:
        """Open a page by its link in the sidebar and see that it is drawn; clicked again as in `press`."""
        title = self.page.get_by_role("heading", name=name, exact=True, level=1)
        for _ in range(TRIES):
            self.settled()
            self.page.get_by_role("link", name=name, exact=True).first.click()
            with suppress(AssertionError):
                expect(title).to_be_visible(timeout=LEFT_MS)
                return
        expect(title).to_be_visible()

    def choose(self, key: str, text: str) -> None:
        """Pick an option of a select box and see that it is picked; clicked again as in `press`."""
        box = self.key(key).get_by_role("combobox")
        for _ in range(TRIES):
            self.settled()
            box.click()
            with suppress(TimeoutError, AssertionError):
                self.page.get_by_role("option", name=text).first.click(timeout=TAKEN_MS)
                expect(box).to_have_value(re.compile(re.escape(text)), timeout=TAKEN_MS)
                return
        expect(box).to_have_value(re.compile(re.escape(text)))

    def pick(self, key: str, text: str) -> None:
        """Add an option to a box that takes several, and see that it is there; clicked again as in `press`."""
        box = self.key(key)
        for _ in range(TRIES):
            self.settled()
            box.get_by_role("combobox").click()
            with suppress(TimeoutError, AssertionError):
                self.page.get_by_role("option", name=text).first.click(timeout=TAKEN_MS)
                self.page.keyboard.press("Escape")
                expect(box).to_contain_text(text, timeout=TAKEN_MS)
                return
        expect(box).to_contain_text(text)

    def press(self, key: str, text: str) -> None:
        """Pick an option of a segmented control and see that it is picked.

        The page may be drawn anew between looking and clicking, and then a click meets nothing: it is clicked again.
        """
        option = self.key(key).get_by_role("radio", name=text).first
        for _ in range(TRIES):
            self.settled()
            expect(option).to_be_visible()
            if option.is_checked():
                return
            option.click()
            with suppress(AssertionError):
                expect(option).to_be_checked(timeout=TAKEN_MS)
        expect(option).to_be_checked()

    def submit(self, key: str, url: re.Pattern[str]) -> None:
        """Press a button that leads to another page, and see that it does; clicked again as in `press`.

        A form that is sent twice makes one run: its key for that is made once.
        """
        button = self.key(key).get_by_role("button")
        for _ in range(TRIES):
            self.settled()
            expect(button).to_be_enabled()
            button.click()
            with suppress(TimeoutError):
                self.page.wait_for_url(url, timeout=LEFT_MS)
                return
        raise AssertionError(f"{key} leads nowhere: {self.page.locator('[data-testid=stAlert]').all_inner_texts()}")

    def type(self, key: str, text: str) -> None:
        """Fill a field, leave it, and see that it keeps the text; filled again as in `press`."""
        field = self.key(key).locator("input").first
        for _ in range(TRIES):
            self.settled()
            field.fill(text)
            field.press("Enter")
            self.settled()
            if field.input_value() == text:
                return
        expect(field).to_have_value(text)

    def switch(self, key: str) -> None:
        """Turn a toggle on and see that it is on; clicked again as in `press`."""
        toggle = self.key(key).get_by_role("switch")
        for _ in range(TRIES):
            self.settled()
            if toggle.is_checked():
                return
            self.key(key).locator("label").click()
            with suppress(AssertionError):
                expect(toggle).to_be_checked(timeout=TAKEN_MS)
        expect(toggle).to_be_checked()

    def unfold(self, key: str) -> None:
        """Open a folded part of the page and see that it is open; clicked again as in `press`."""
        part = self.key(key)
        for _ in range(TRIES):
            self.settled()
            if part.locator("details[open]").count():
                return
            part.locator("summary").click()
            with suppress(AssertionError):
                expect(part.locator("details[open]")).to_have_count(1, timeout=TAKEN_MS)
        expect(part.locator("details[open]")).to_have_count(1)

    def tab(self, name: str) -> None:
        """Open a tab of the run page."""
        self.page.get_by_role("tab", name=name).click()

    def no_trace_of_an_error(self) -> None:
        """No stack trace and no exception box is on the page."""
        expect(self.page.locator("[data-testid=stException]")).to_have_count(0)
        assert "Traceback (most recent call last)" not in self.page.locator("body").inner_text()
