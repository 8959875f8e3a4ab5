"""The very first start: the link that `postroom serve` prints makes the first administrator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import PASSWORD, Console, looking


@pytest.fixture
def page(browser: Browser, empty_console: Console) -> Iterator[Page]:
    yield from looking(browser, empty_console)


def test_the_printed_link_makes_the_first_administrator(page: Page, empty_console: Console) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nobody can sign in yet")
    expect(page.get_by_role("main")).to_contain_text("postroom person add")

    page.goto(empty_console.first_link)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail").fill("ada@contoso.example")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_text("too short")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("status")).to_contain_text("Welcome, Ada")

    page.context.clear_cookies()
    page.goto(empty_console.first_link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("was used already")).to_be_visible()
    token = empty_console.first_link.partition("#")[2]
    kept = b"".join(path.read_bytes() for path in empty_console.home.iterdir() if path.is_file())
    assert token.encode() not in kept  # neither in the database nor in the log
