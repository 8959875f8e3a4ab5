"""A real `postroom serve`, and Chromium to look at it. A page that breaks the content policy fails its test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from support.postroom import Postroom, RunningPostroom

PASSWORD = "a ladder in the orchard"


@dataclass(frozen=True)
class Console:
    """One running console with its own folder."""

    running: RunningPostroom

    @property
    def address(self) -> str:
        return self.running.address

    @property
    def home(self) -> Path:
        return self.running.postroom.home

    @property
    def first_link(self) -> str:
        return self.running.first_link

    def run(self, *arguments: str, stdin: str = "") -> str:
        """A command on the same folder; what it printed."""
        done = self.running.postroom.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add(self, email: str, role: str) -> str:
        """Somebody with `PASSWORD`."""
        self.run("person", "add", email, "--role", role)
        self.run("person", "password", email, "--stdin", stdin=PASSWORD + "\n")
        return email

    def link(self, email: str) -> str:
        made = json.loads(self.run("person", "link", email, "--console", self.address, "--json"))
        return str(made["link"])


@pytest.fixture(scope="module")
def empty_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Started for the first time: nobody can sign in yet."""
    with RunningPostroom(Postroom(tmp_path_factory.mktemp("home"))) as running:
        yield Console(running)


@pytest.fixture(scope="module")
def console(empty_console: Console) -> Console:
    """With an administrator and a reader."""
    empty_console.add("admin@contoso.example", "administrator")
    empty_console.add("reader@contoso.example", "reader")
    return empty_console


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Closed with the module: while it runs, its event loop would be in the way of asynchronous tests.
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """A fresh browser, not signed in."""
    yield from looking(browser, console)


@pytest.fixture
def admin(page: Page) -> Page:
    """A fresh browser, signed in as the administrator."""
    sign_in(page, "admin@contoso.example")
    return page


def looking(browser: Browser, console: Console) -> Iterator[Page]:
    context = browser.new_context(base_url=console.address)
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        # Chromium reports every answer of 400 and above as an error; those are what the tests are about.
        lambda said: complaints.append(said.text) if said.type == "error" and "status of 4" not in said.text else None,
    )
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.goto("/account/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
