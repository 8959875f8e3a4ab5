"""What the application can reach, against what it needs."""

from __future__ import annotations

from dataclasses import replace

from postroom.tenant.observed import ScopedRole
from postroom.tenant.privileges import report
from postroom.tenant.wanted import ReadBy, Restriction

from .states import BOX, WANTED, good, granted, with_principal


def test_what_is_needed_is_reached_and_no_more() -> None:
    found = report(WANTED, good())
    assert all(one.needed and not one.advice for one in found)
    by_role = {one.role: one.where for one in found}
    assert by_role["IMAP.AccessAsApp"].endswith(BOX)
    assert by_role["Mail.ReadWrite"] == "mailboxes of the scope 'Postroom'"


def test_pop_that_nobody_uses_is_to_be_revoked() -> None:
    """Reference row X6: POP unused, so remove POP.AccessAsApp."""
    first = report(replace(WANTED, read=(ReadBy.IMAP,)), good())[0]
    assert (first.role, first.needed) == ("Mail.ReadWrite", False)
    advice = {one.role: one.advice for one in report(replace(WANTED, read=(ReadBy.IMAP,)), good())}
    assert advice["POP.AccessAsApp"] == "revoke POP.AccessAsApp: nothing that is wanted uses it"


def test_every_mailbox_of_the_organisation_is_said() -> None:
    wide = with_principal(
        good(), granted=granted("graph", "Mail.ReadWrite") + granted("exchange", "full_access_as_app")
    )
    where = {one.role: one.where for one in report(WANTED, wide) if "scope" not in one.where}
    assert where == dict.fromkeys(("Mail.ReadWrite", "full_access_as_app"), "every mailbox of the organisation")
    wanted = replace(WANTED, restrict_graph=Restriction.NONE)
    (needed,) = [one for one in report(wanted, wide) if one.role == "Mail.ReadWrite" and one.needed]
    assert "restrict" in needed.advice


def test_an_assignment_without_a_scope_is_needless() -> None:
    state = replace(good(), scoped_roles=(*good().scoped_roles, ScopedRole("two", "Mail.Send", "")))
    assert report(WANTED, state)[0].advice == "remove the role assignment 'two'"
