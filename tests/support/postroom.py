"""Postroom as its users have it: the real command, the real server, and a signed-in browser without a screen.

Everything goes through the public doors, in processes of their own, on a home of its own.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2

_STOP_SECONDS = 30
_TALKATIVE = """
import functools, logging
from postroom.core import logging as ours
ours.configure = functools.partial(ours.configure, level=logging.DEBUG)
from postroom.cli.main import run
run()
"""
"""The program with its log at the level DEBUG, which no setting asks for."""


@dataclass
class Postroom:
    """The command `postroom` on one home. `said` collects all that it ever wrote."""

    home: Path
    talkative: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list, repr=False)

    @property
    def program(self) -> list[str]:
        return [sys.executable, "-c", _TALKATIVE] if self.talkative else [sys.executable, "-m", "postroom"]

    def run(self, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """Any command, whatever its exit code; `more` are environment variables."""
        done = subprocess.run(
            [*self.program, *arguments], env=self.surroundings() | more, input=stdin, text=True, capture_output=True
        )
        self.said += [done.stdout, done.stderr]
        return done

    def cli(self, *arguments: str, stdin: str = "", exit_code: int = 0, **more: str) -> Any:
        """The command with `--json`, and what it answered; it must end with this exit code."""
        done = self.run(*arguments, "--json", stdin=stdin, **more)
        assert done.returncode == exit_code, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def add_cloud(self, cloud: dict[str, str | int]) -> None:
        """Writes `clouds/NAME.toml` (docs/settings.md), as a person would: TOML's strings and numbers are JSON's."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in cloud.items() if key != "name"]
        file = self.home / "clouds" / f"{cloud['name']}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([f"[{cloud['name']}]", *lines, ""]))

    def surroundings(self) -> dict[str, str]:
        """Our environment, without settings that would lead elsewhere."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("POSTROOM_") and name not in {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
        }
        return kept | {"POSTROOM_HOME": str(self.home), "COLUMNS": "200"} | self.environment


class RunningPostroom:
    """`postroom serve` on a home, until the block ends."""

    def __init__(self, postroom: Postroom) -> None:
        self.postroom = postroom
        self.address = ""
        self.first_link = ""
        """Given at the very first start only."""
        self._log = postroom.home / "serve.log"

    def __enter__(self) -> Self:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*self.postroom.program, "serve", "--port", "0", "--json"],
                env=self.postroom.surroundings(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log
        announced = json.loads(line)
        self.address, self.first_link = announced["console"], announced.get("first_administrator", "")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()

    @property
    def log(self) -> str:
        """What the server wrote to standard error."""
        return self._log.read_text()

    def signed_in(self, email: str = "admin@contoso.example", role: str = "administrator") -> Visitor:
        """A new person with this role, signed in by their one-time link."""
        made = self.postroom.cli("person", "add", email, "--role", role, "--console", self.address)
        visitor = Visitor(self.address)
        visitor.post("/account/link", token=made["link"].partition("#")[2])
        assert visitor.get("/").url.path == "/"
        return visitor


class Visitor:
    """A browser without scripts: keeps cookies, fills forms, follows links."""

    def __init__(self, address: str) -> None:
        self._http = httpx2.Client(base_url=address, follow_redirects=True, trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, *, part: bool = False) -> httpx2.Response:
        """A page; with `part` as htmx asks for a part of one."""
        return self._http.get(path, headers={"HX-Request": "true"} if part else {})

    def post(self, path: str, files: Any = None, **fields: str) -> httpx2.Response:
        """Sends the form of the page at `path`, with its CSRF token."""
        return self.post_from(path, path, files, **fields)

    def post_from(self, page_path: str, path: str, files: Any = None, **fields: str) -> httpx2.Response:
        """Sends a form of one page that leads to another."""
        page = self.get(page_path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, f"{page_path}: {page.status_code}, no form"
        return self._http.post(path, data={"csrfmiddlewaretoken": token[1]} | fields, files=files)

    def crawl(self, start: str = "/") -> Iterator[httpx2.Response]:
        """Every page and part that links lead to, each once."""
        waiting, seen = [(start, False)], {(start, False)}
        while waiting:
            path, part = waiting.pop()
            answer = self.get(path, part=part)
            yield answer
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            found = re.findall(r'\b(href|hx-get)="(/[^"#]*)"', answer.text)
            links = {(html.unescape(link), kind == "hx-get") for kind, link in found if "/static/" not in link}
            waiting += sorted(links - seen)
            seen |= links
