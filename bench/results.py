"""What a measurement hands back: a table, its aims, and notes; and how they are written down."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scale:
    """How much is measured: in full, or quickly to see that everything works."""

    quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True)
class Aim:
    """One aim of the issue, and what was reached."""

    what: str
    aim: str
    measured: str
    met: bool


@dataclass
class Measured:
    """One section of the report."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    """The single readings, for the file."""


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank."""
    ranked = sorted(values)
    return ranked[min(int(share * len(ranked)), len(ranked) - 1)]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def aims_table(sections: Iterable[Measured]) -> str:
    rows = [
        [aim.what, aim.aim, aim.measured, "met" if aim.met else "**missed**"]
        for section in sections
        for aim in section.aims
    ]
    return table(["What", "Aim", "Measured", ""], rows)


def in_full(sections: Iterable[Measured]) -> str:
    """All tables, with their notes."""
    parts = []
    for section in sections:
        parts.append(f"### {section.title}\n\n{table(section.columns, section.rows)}")
        parts += ["\n".join(f"- {note}" for note in section.notes)] if section.notes else []
    return "\n\n".join(parts)


def rewrite(file: Path, text: str) -> None:
    """Replaces what stands between the marks. Raises `ValueError` when there are none."""
    before = file.read_text()
    after, count = re.subn(
        r"(<!-- bench:begin -->\n).*?(<!-- bench:end -->)",
        lambda found: f"{found[1]}{text}\n{found[2]}",
        before,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{file.name} has no single section between <!-- bench:begin --> and <!-- bench:end -->")
    file.write_text(after)
