"""The outbox in the console: lanes with pace and forecast, the list, one message with its attempts, the verbs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Console, looking, sign_in
from support.postroom import Postroom, RunningPostroom

FILL = Path(__file__).with_name("fill_outbox.py")
MESSAGES = 3000


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console with many messages, and lanes that are held."""
    home = tmp_path_factory.mktemp("full")
    with RunningPostroom(Postroom(home)) as running:
        console = Console(running)
        console.add("admin@contoso.example", "administrator")
        console.add("reader@contoso.example", "reader")
        for name in ("Letters", "Cards"):
            console.run(
                *("mailbox", "add", name, "--provider", "other", "--address", f"{name.lower()}@contoso.example"),
                *("--smtp-host", "smtp.invalid", "--sign-in-by", "none", "--messages-per-minute", "30"),
            )
            console.run("outbox", "lane", name, "--hold")
        subprocess.run([sys.executable, str(FILL), str(home), str(MESSAGES)], check=True)
        yield console


@pytest.fixture
def desk(browser: Browser, full: Console) -> Iterator[Page]:
    for page in looking(browser, full):
        sign_in(page, "admin@contoso.example")
        yield page


def test_counts_lanes_and_forecast(desk: Page) -> None:
    desk.goto("/")
    desk.get_by_role("link", name="Outbox").click()
    expect(desk.locator("[data-state=queued]")).to_have_text("1,240")
    expect(desk.locator("[data-state=sent]")).to_have_text(f"{MESSAGES - 1240 - 2:,}")
    lane = desk.get_by_role("row", name="Letters")
    expect(lane).to_contain_text("held")
    expect(lane).to_contain_text("30 a minute")
    expect(lane).to_contain_text("620 messages")
    expect(desk.get_by_role("img", name="last 24 hours")).to_be_visible()


def test_the_overview_is_live(desk: Page, full: Console) -> None:
    desk.goto("/outbox/")
    lane = desk.get_by_role("row", name="Cards")
    expect(lane).to_contain_text("held")
    full.run("outbox", "hold", "--state", "queued", "--mailbox", "Cards")
    expect(desk.locator("[data-state=held]")).to_have_text("620", timeout=30_000)
    full.run("outbox", "release", "--state", "held", "--mailbox", "Cards")
    expect(desk.locator("[data-state=queued]")).to_have_text("1,240", timeout=30_000)


def test_search_filter_and_pages(desk: Page) -> None:
    desk.goto("/outbox/messages")
    expect(desk.locator("tbody tr")).to_have_count(50)
    first = desk.locator("tbody tr").first.inner_text()
    desk.get_by_role("link", name="Older").click()
    expect(desk.get_by_role("link", name="Newest")).to_be_visible()
    assert desk.locator("tbody tr").first.inner_text() != first
    desk.get_by_label("Search").first.fill("person7@example.com")
    desk.get_by_role("button", name="Search").click()
    expect(desk.locator("tbody tr")).to_have_count(1)
    desk.goto("/outbox/messages?state=failed")
    expect(desk.locator("tbody tr")).to_have_count(2)
    desk.goto("/outbox/messages?search=nothing-like-it")
    expect(desk.get_by_role("heading", name="No message is like that")).to_be_visible()


def test_one_message_with_its_attempts(desk: Page) -> None:
    desk.goto("/outbox/messages?state=failed")
    desk.locator("tbody .row-link").first.click()
    expect(desk.get_by_role("heading", name="Why")).to_be_visible()
    attempts = desk.get_by_role("region", name="Attempts")
    expect(attempts).to_contain_text("550 5.1.1 no such user")
    expect(desk.get_by_role("region", name="Recipients")).to_contain_text("@example.com")
    desk.get_by_role("button", name="Send now").click()
    expect(desk.get_by_text("1 message will be sent now.")).to_be_visible()
    expect(desk.get_by_role("region", name="History")).to_contain_text("retried")
    desk.get_by_role("button", name="Cancel").click()
    expect(desk.get_by_text("1 message cancelled.")).to_be_visible()


def test_many_messages_at_once(desk: Page) -> None:
    desk.goto("/outbox/messages?state=queued")
    desk.get_by_label("Tick all on this page").check()
    desk.get_by_role("button", name="Hold").click()
    expect(desk.get_by_text("50 messages held.")).to_be_visible()
    desk.goto("/outbox/messages?state=held")
    desk.get_by_label("Tick all on this page").check()
    desk.get_by_role("button", name="Release").click()
    expect(desk.get_by_text("50 messages released.")).to_be_visible()


def test_a_lane_is_resumed_and_held(desk: Page) -> None:
    desk.goto("/outbox/")
    desk.get_by_role("button", name="Resume Letters").click()
    expect(desk.get_by_text("Letters is tried again now.")).to_be_visible()
    desk.get_by_role("button", name="Hold Letters").or_(desk.get_by_role("button", name="Resume Letters")).click()


def test_readers_see_no_mail(browser: Browser, full: Console) -> None:
    for page in looking(browser, full):
        sign_in(page, "reader@contoso.example")
        expect(page.get_by_role("link", name="Outbox")).to_have_count(0)
        answer = page.goto("/outbox/messages")
        assert answer is not None
        assert answer.status == 403
