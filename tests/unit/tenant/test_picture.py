"""The picture says of every wanted thing what the plan says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.tenant.observed import Observed
from postroom.tenant.picture import Item, Mark, Picture, picture
from postroom.tenant.plan import plan
from postroom.tenant.wanted import Wanted

from .states import BOX, EMPTY, FROM, NOW, PERSON, WANTED, good, granted, with_box, with_principal


def drawn(observed: Observed, wanted: Wanted = WANTED, states: dict[str, str] | None = None) -> Picture:
    data = plan(wanted, observed, NOW).to_data()
    return picture(wanted, data["steps"], data["drift"], states)


def items(shown: Picture) -> dict[str, Item]:
    """By box and text."""
    return {f"{box.title}: {item.text}": item for lane in shown.lanes for box in lane.boxes for item in box.items}


def test_nothing_is_known_before_anybody_looked() -> None:
    assert picture(WANTED, None).marks == [Mark.UNKNOWN]


def test_all_is_there_when_nothing_is_to_do() -> None:
    shown = drawn(good())
    assert shown.marks == [Mark.THERE]
    assert {box.mark for lane in shown.lanes for box in lane.boxes} == {Mark.THERE}


def test_on_an_empty_tenant_all_is_made() -> None:
    shown = drawn(EMPTY)
    assert set(shown.marks) <= {Mark.MAKE, Mark.CHANGE}
    assert f"{BOX}: {PERSON} opens it" in items(shown)
    assert f"{BOX}: Mail may bear {FROM}" in items(shown)


@pytest.mark.parametrize(
    ("observed", "where", "mark", "note"),
    [
        (
            with_principal(good(), granted=granted("exchange", "SMTP.SendAsApp", "POP.AccessAsApp")),
            "Enterprise application: IMAP.AccessAsApp, consented",
            Mark.MAKE,
            "no admin consent",
        ),
        (with_principal(good(), enabled=False), "Enterprise application: Service principal", Mark.CHANGE, "disabled"),
        (with_box(good(), smtp_auth_off=True), f"{BOX}: SMTP, IMAP, POP switched on", Mark.CHANGE, "switched off"),
        (with_box(good(), full_access=frozenset()), f"{BOX}: FullAccess for the application", Mark.MAKE, "FullAccess"),
        (replace(good(), scopes={}), "Scope: Postroom", Mark.MAKE, "scope does not exist"),
        (replace(good(), held=()), "Credential: Client secret, 180 days", Mark.MAKE, "holds no secret"),
        (replace(good(), configured={}), f"{BOX}: Configured in Postroom", Mark.MAKE, "no configuration"),
        (replace(good(), people=frozenset()), f"{BOX}: {PERSON}", Mark.WRONG, "knows nobody"),
    ],
)
def test_drift_stands_at_its_thing(observed: Observed, where: str, mark: Mark, note: str) -> None:
    found = items(drawn(observed))
    assert found[where].mark is mark
    assert note in found[where].note


def test_what_is_too_much_is_shown_going_or_as_somebody_elses() -> None:
    roles = ("SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp", "full_access_as_app")
    too_much = with_principal(good(), granted=granted("exchange", *roles))
    assert items(drawn(too_much))["Enterprise application: Revoke full_access_as_app"].mark is Mark.REMOVE
    elsewhere = replace(too_much, made_here=False)
    assert items(drawn(elsewhere))["Enterprise application: full_access_as_app"].mark is Mark.WRONG


@pytest.mark.parametrize(
    ("state", "mark"),
    [
        ("planned", Mark.MAKE),
        ("running", Mark.WORKING),
        ("waiting", Mark.WORKING),
        ("done", Mark.DONE),
        ("failed", Mark.FAILED),
        ("skipped", Mark.MAKE),
    ],
)
def test_a_running_apply_is_seen_in_it(state: str, mark: Mark) -> None:
    found = items(drawn(EMPTY, states={f"mailbox:{BOX}": state}))
    assert found[f"{BOX}: Shared mailbox"].mark is mark
    assert found[f"{BOX}: FullAccess for the application"].mark is Mark.MAKE
