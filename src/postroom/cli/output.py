"""How commands speak: tables and sentences for people, JSON for programs, and the exit codes.

Exit codes: 0 done; 1 a fault that the message explains (a proof that failed, a name that does not exist);
2 the command was not written right; 130 interrupted.
With `--json` a command prints exactly one JSON value on standard output and nothing else; a fault is
`{"error": ..., "fix": ...}` there too. All other talk goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FAULT = 1
USAGE = 2

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON value, for programs.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def as_json(value: Any) -> None:
    """One JSON value on standard output; dates as ISO 8601."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def table(rows: Iterable[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Rows for people; `empty` is said when there are none."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column.replace("_", " "))
    for row in rows:
        shown.add_row(*(escape(_cell(row.get(column))) for column in columns))
    if shown.row_count:
        out.print(shown)
    else:
        out.print(escape(empty))


def say(sentence: str) -> None:
    """A result, for people."""
    out.print(escape(sentence), soft_wrap=True)


def note(sentence: str) -> None:
    """Beside the result: progress, warnings."""
    err.print(escape(sentence), soft_wrap=True)


def fault(message: str, fix: str, json_wanted: bool) -> None:
    """`error: …` in one line on standard error, the fix beneath it."""
    if json_wanted:
        as_json({"error": message, "fix": fix})
        return
    err.print(f"[bold red]error:[/] {escape(' '.join(message.split()))}", soft_wrap=True)
    if fix:
        err.print(f"[bold]fix:[/] {escape(fix)}", soft_wrap=True)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)
