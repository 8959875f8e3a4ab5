"""What Microsoft allows, and the dates it has announced: data with sources, not constants in code."""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DATA = Path(__file__).with_name("data")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. The name says the unit: bytes, messages, requests, months."""

    value: int
    confidence: str
    """D documented, C seen in code or logs, I reported, U unverified."""
    source: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """Something Microsoft ends or changes on a day."""

    name: str
    date: datetime.date
    title: str
    applies_to: str
    """"password" or "ews": which mailboxes it concerns."""
    source: str


def limit(group: str, name: str) -> Limit:
    """For example `limit("smtp", "messages_per_minute")`. Raises `KeyError` for one that is not in the data."""
    return _limits()[group][name]


def tenant_external_recipients(paid_licences: int) -> int:
    """External recipients a whole tenant may send to in 24 hours (TERRL; enforced since spring 2025, facts 6)."""
    return round(500 * math.pow(paid_licences, 0.7) + 9500)


def deadlines(extra: Path | None = None) -> Mapping[str, Deadline]:
    """The announced dates by name; those of the TOML file `extra`, where it exists, replace the shipped ones.

    Raises `ValueError` naming the file when `extra` cannot be understood.
    """
    found = _deadlines(_DATA / "dates.toml")
    if extra and extra.exists():
        found = {**found, **_deadlines(extra)}
    return found


def _deadlines(path: Path) -> dict[str, Deadline]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        found = {name: Deadline(name=name, **table) for name, table in tables.items()}
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{path}: cannot be understood ({error}); write it as the shipped dates.toml") from error
    wrong = next((one.name for one in found.values() if not isinstance(one.date, datetime.date)), None)
    if wrong:
        raise ValueError(f"{path}: [{wrong}] date is not a date; write date = 2027-04-01 without quotes")
    return found


@cache
def _limits() -> Mapping[str, Mapping[str, Limit]]:
    groups = tomllib.loads((_DATA / "limits.toml").read_text(encoding="utf-8"))
    return {group: {name: Limit(**row) for name, row in rows.items()} for group, rows in groups.items()}
