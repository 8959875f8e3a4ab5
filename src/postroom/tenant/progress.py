"""What is told of a step while a plan is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from postroom.microsoft.errors import Diagnosis


@dataclass(frozen=True, slots=True)
class Progress:
    """One change. `state`: `running`, `waiting` (for Microsoft), `done`, `failed`, `skipped`."""

    key: str
    title: str
    state: str
    detail: str = ""
    diagnosis: Diagnosis | None = None
