"""What a person has to mend: a sentence that names the fault, and the next step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Fault(Exception):
    """Something that is not as it must be. Shown to people without a traceback.

    `fix` says what to do about it; it may hold the exact command.
    """

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class Invalid(Fault, ValueError):
    """Input that cannot be taken, field by field.

    `errors` maps the name of a field to its faults, each a sentence that says what is wrong and how it is right;
    "" stands for the whole.
    """

    def __init__(self, errors: Mapping[str, Iterable[str]]) -> None:
        self.errors = {field: list(faults) for field, faults in errors.items()}
        lines = [f"{field}: {fault}" if field else fault for field, faults in self.errors.items() for fault in faults]
        super().__init__("; ".join(lines))


class NotFound(Fault, LookupError):
    """There is nothing of this id or name."""
