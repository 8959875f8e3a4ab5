"""A real `postroom serve`, and Chromium to look at it. A page that breaks the content policy fails its test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PASSWORD = "a ladder in the orchard"


@dataclass(frozen=True)
class Console:
    """One running console with its own folder."""

    address: str
    home: Path
    first_link: str

    def run(self, *arguments: str, stdin: str = "") -> str:
        """A command on the same folder; what it printed."""
        done = subprocess.run(
            [_postroom(), *arguments],
            env=_environment(self.home),
            input=stdin,
            text=True,
            capture_output=True,
            timeout=60,
        )
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
    with serving(tmp_path_factory.mktemp("home")) as console:
        yield console


@pytest.fixture(scope="module")
def console(empty_console: Console) -> Console:
    """With an administrator and a reader."""
    empty_console.add("admin@contoso.example", "administrator")
    empty_console.add("reader@contoso.example", "reader")
    return empty_console


class serving:  # noqa: N801 - reads as a verb where it is used
    """Runs `postroom serve` on a folder until the block ends."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> Console:
        self._log = (self._home / "serve.log").open("w")
        self._process = subprocess.Popen(
            [_postroom(), "serve", "--port", "0", "--json"],
            env=_environment(self._home),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self._home / "serve.log").read_text()
        said = json.loads(line)
        assert "console" in said, said
        return Console(said["console"], self._home, said.get("first_administrator", ""))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


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


def _postroom() -> str:
    return str(Path(sys.executable).with_name("postroom"))


def _environment(home: Path) -> dict[str, str]:
    """Ours, without settings that would lead elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("POSTROOM_") and name not in {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
    }
    return kept | {"POSTROOM_HOME": str(home)}
