"""Remove takes away what Postroom made, and nothing else."""

from __future__ import annotations

from typing import Any

from postroom.mailboxes.models import Application, Mailbox
from postroom.tenant import remove
from postroom.tenant.models import Made

from .conftest import BOX, BY, FROM, IMPATIENT, PERSON, TEN_LINES, World

WANTED = TEN_LINES + f"    members: [{PERSON}]\n  - adele@contoso.example\n"


def tenant_state(world: World) -> dict[str, Any]:
    """Everything but the contents of mailboxes."""
    boxes = world.lab.control("GET", "/mailboxes")
    kept = ("address", "full_access", "send_as", "send_on_behalf", "smtp_auth_disabled", "imap_enabled", "pop_enabled")
    return {
        "applications": [
            {key: one[key] for key in ("id", "roles", "delegated", "permissions", "secrets")}
            for one in world.lab.control("GET", "/applications")
        ],
        "mailboxes": [{key: one[key] for key in kept} for one in boxes],
        "principals": world.lab.control("GET", "/exchange/principals"),
        "scopes": world.cmdlet("Get-ManagementScope") + world.cmdlet("Get-ManagementRoleAssignment"),
        "users": [{"upn": one["upn"], "licences": one["licences"]} for one in world.lab.control("GET", "/users")],
    }


def removed(world: World, **options: Any) -> remove.Outcome:
    return remove.remove(world.setup(WANTED), BY, patience=IMPATIENT, **options)


def test_everything_goes_but_the_mailbox_with_its_mail(world: World) -> None:
    before = tenant_state(world)
    assert world.apply(WANTED).passed
    leaving = remove.preview(world.setup(WANTED))
    assert leaving.staying == (f"Shared mailbox {BOX}",)
    outcome = removed(world)
    assert outcome.passed, outcome.steps
    after = tenant_state(world)
    assert BOX in {one["address"] for one in after["mailboxes"]}
    after["mailboxes"] = [one for one in after["mailboxes"] if one["address"] != BOX]
    after["users"] = [one for one in after["users"] if one["upn"] != BOX]
    assert after == before
    assert Mailbox.objects.count() == Application.objects.count() == 0
    assert [row.kind for row in Made.objects.filter(gone_at=None)] == ["mailbox"]

    assert removed(world, with_mailboxes=True).passed
    assert tenant_state(world) == before
    assert world.apply(WANTED).passed, "and it can all be made again"


def test_what_others_made_stays(world: World) -> None:
    """An application that was there before, with a permission and a right that nobody here granted."""
    found = world.lab.control(
        "POST", "/applications", {"name": "Postroom", "roles": {"exchange": ["IMAP.AccessAsApp"]}}
    )
    world.lab.control("POST", f"/applications/{found['id']}/permissions", {"roles": ["IMAP.AccessAsApp"]})
    world.lab.control("PUT", f"/mailboxes/{FROM}/rights/full-access/{PERSON}")
    before = tenant_state(world)
    assert world.apply(WANTED).passed
    outcome = removed(world, with_mailboxes=True)
    assert outcome.passed, outcome.steps
    after = tenant_state(world)
    for state in (before, after):
        for one in state["applications"]:
            del one["permissions"]  # what the registration asks for was added to, which grants nothing
    assert after == before


def test_removing_twice_does_no_harm(world: World) -> None:
    assert world.apply(WANTED).passed
    world.lab.control("DELETE", f"/mailboxes/{BOX}")
    assert removed(world).passed
    assert removed(world).passed
