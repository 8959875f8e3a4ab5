"""No row of the error catalogue is left out, and the page that lists them is current."""

from __future__ import annotations

from pathlib import Path

from postroom.microsoft.catalogue import faults

from . import test_catalogue, test_elsewhere
from .table import Proved, as_markdown

ROOT = Path(__file__).parents[3]


def proved() -> list[Proved]:
    """What the tests of this folder provoke."""
    by_proofs = [
        Proved(fault, how, "test_catalogue.py")
        for how, _, expected in test_catalogue.ROWS
        for fault in dict.fromkeys(expected.values())
    ]
    return by_proofs + [Proved(row.fault, row.how, "test_elsewhere.py") for row in test_elsewhere.ROWS]


def test_every_row_that_can_be_provoked_is_provoked() -> None:
    said_on_command = {fault for *_, expected in test_catalogue.ON_COMMAND for fault in expected.values()}
    provable = {row.id for row in faults().values() if row.provable}
    provoked = {one.fault for one in proved()}
    assert provable <= provoked
    assert provoked - provable <= said_on_command, "what was provoked needs no reason why it cannot be"


def test_a_row_that_cannot_be_provoked_says_why() -> None:
    assert all(row.unprovable.endswith(".") for row in faults().values() if not row.provable)


def test_the_page_of_proved_failures_is_current() -> None:
    """Make it with: PYTHONPATH=tests python -m stories.proof.table > docs/errors-proved.md"""
    assert (ROOT / "docs" / "errors-proved.md").read_text(encoding="utf-8") == as_markdown(proved())
