"""The one catalogue of errors: `data/catalogue.toml`, read and searched.

Console, command line, API and retry logic all read causes, fixes and classes from here. docs/errors.md is made from
it: `python -m postroom.microsoft.catalogue > docs/errors.md`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from postroom.microsoft.answers import Answer, Service

_FILE = Path(__file__).with_name("data") / "catalogue.toml"


class Kind(StrEnum):
    """What a failure means for the next attempt."""

    PERMANENT = "permanent"
    """The same again fails again: tell the sender."""
    TRANSIENT = "transient"
    """It passes by itself: try again with back-off."""
    THROTTLED = "throttled"
    """Too much, too fast: wait as long as was said, for the whole mailbox."""
    PERMISSION = "permission"
    """Somebody must mend the set-up; the message is kept until then."""


@dataclass(frozen=True, slots=True)
class Match:
    """What an answer must look like: each pattern that is there must fit; `text` anywhere, the others wholly."""

    services: frozenset[Service]
    code: re.Pattern[str] | None = None
    enhanced: re.Pattern[str] | None = None
    status: re.Pattern[str] | None = None
    text: re.Pattern[str] | None = None

    def fits(self, answer: Answer) -> bool:
        whole = (
            (self.code, answer.code),
            (self.enhanced, answer.enhanced or _enhanced_in(answer.text)),
            (self.status, str(answer.status)),
        )
        return (
            answer.service in self.services
            and all(pattern is None or pattern.fullmatch(value) for pattern, value in whole)
            and (self.text is None or self.text.search(answer.text) is not None)
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `matches` is empty for a cause that only the evidence around an answer can show."""

    id: str
    cause: str
    fix: str
    command: str
    kind: Kind | None
    """None only for "unknown", whose class the answer itself tells."""
    source: str
    unprovable: str
    """Why no simulator can provoke it, a sentence; "" when a test does."""
    link: str
    services: tuple[Service, ...]
    matches: tuple[Match, ...]
    vague: bool = False
    """True when the answer has several causes, and the evidence must decide."""
    retry_after: float | None = None
    also: tuple[str, ...] = ()

    @property
    def provable(self) -> bool:
        """Whether a test provokes it, at the lab or at another server."""
        return not self.unprovable

    def fits(self, answer: Answer) -> bool:
        return any(match.fits(answer) for match in self.matches)


def faults() -> Mapping[str, Fault]:
    """All rows by id, in the catalogue's order."""
    return _read()


def fault(name: str) -> Fault:
    """The row of this id, or "unknown"."""
    rows = _read()
    return rows.get(name) or rows["unknown"]


def find(answer: Answer) -> Fault:
    """The row whose match fits the answer, or "unknown"."""
    return next((row for row in _read().values() if row.fits(answer)), fault("unknown"))


def _enhanced_in(text: str) -> str:
    """The enhanced status code (RFC 3463) at the start of a reply's text, for transports that leave it there."""
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
    return found.group() if found else ""


@cache
def _read() -> Mapping[str, Fault]:
    rows = [_row(data) for data in tomllib.loads(_FILE.read_text(encoding="utf-8"))["fault"]]
    return {row.id: row for row in rows}


def _row(data: dict[str, Any]) -> Fault:
    services = tuple(Service(name) for name in data["services"])
    return Fault(
        id=data["id"],
        cause=data["cause"],
        fix=data["fix"],
        command=data.get("command", "").strip(),
        kind=Kind(data["class"]) if "class" in data else None,
        source=data["source"],
        unprovable=data.get("unprovable", ""),
        link=data.get("link", ""),
        services=services,
        matches=tuple(_match(frozenset(services), one) for one in data.get("match", ())),
        vague=data.get("vague", False),
        retry_after=data.get("retry_after"),
        also=tuple(data.get("also", ())),
    )


def _match(services: frozenset[Service], data: dict[str, str]) -> Match:
    patterns = {key: re.compile(value, re.IGNORECASE) for key, value in data.items()}
    return Match(services, **patterns)


def as_markdown() -> str:
    """The catalogue as the page docs/errors.md."""
    head = [
        "# Known failures",
        "",
        "Made from `src/postroom/microsoft/data/catalogue.toml` by `python -m postroom.microsoft.catalogue`; a test",
        "keeps it current. *Proved* says whether a test provokes the failure: [how, and why not](errors-proved.md).",
        "",
        "| id | service | cause | fix | class | proved | source |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(_line(row) for row in _read().values())]) + "\n"


def _line(row: Fault) -> str:
    cells = (
        f"`{row.id}`",
        ", ".join(row.services),
        row.cause,
        row.fix,
        row.kind or "as answered",
        "yes" if row.provable else "no",
        row.source,
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
