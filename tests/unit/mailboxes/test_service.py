"""The verbs of mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from postroom.accounts.audit import Actor
from postroom.accounts.models import AuditEvent
from postroom.core.faults import Invalid, NotFound
from postroom.mailboxes import credentials, service
from postroom.mailboxes.health import State
from postroom.mailboxes.models import Application, Credential, Mailbox, Proof
from postroom.mailboxes.values import MailboxData

Make = Callable[..., Mailbox]
OTHER_CLIENT = "c0ffee00-9999-4222-8333-444455556666"


def events() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("id").values_list("action", "subject"))


def test_what_is_saved_is_what_comes_back(office: Mailbox, office_data: MailboxData) -> None:
    assert service.data_of(office) == replace(
        office_data,
        send_by="smtp",
        read_by="imap",
        sign_in_by="oauth",
        smtp_security="starttls",
        incoming_security="tls",
    )


def test_an_edit_keeps_all_else_and_the_credential(office: Mailbox, by: Actor) -> None:
    service.save(replace(service.data_of(office), subject_prefix="[x]"), by, office.pk)
    again = service.get(office.pk)
    assert again.subject_prefix == "[x]"
    assert len(credentials.list_for(again)) == 1


def test_each_change_is_audited_with_before_and_after(office: Mailbox, by: Actor) -> None:
    service.save(replace(service.data_of(office), subject_prefix="[x]"), by, office.pk)
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.actor, event.origin) == ("mailbox.changed", by.name, by.origin)
    assert event.detail == {"subject_prefix": {"before": "", "after": "[x]"}}


def test_two_mailboxes_share_one_application(office: Mailbox, office_data: MailboxData, by: Actor) -> None:
    second = service.save(replace(office_data, name="Second", address="second@contoso.com"), by)
    assert second.application_id == office.application_id
    assert len(credentials.list_for(second)) == 1


def test_a_mailbox_that_joins_an_application_leaves_its_known_ids(
    office: Mailbox, office_data: MailboxData, by: Actor
) -> None:
    joining = replace(office_data, name="Second", object_id="", service_principal_id="")
    joined = service.save(joining, by).application
    assert joined is not None
    assert joined.service_principal_id == UUID(office_data.service_principal_id)


def test_a_corrected_client_id_keeps_the_applications_credential(office: Mailbox, by: Actor) -> None:
    service.save(replace(service.data_of(office), client_id=OTHER_CLIENT), by, office.pk)
    again = service.get(office.pk)
    assert again.application_id == office.application_id
    assert len(credentials.list_for(again)) == 1
    assert Application.objects.count() == 1


def test_a_shared_application_is_not_bent_for_one_of_its_mailboxes(
    office: Mailbox, office_data: MailboxData, by: Actor
) -> None:
    second = service.save(replace(office_data, name="Second"), by)
    service.save(replace(office_data, name="Second", client_id=OTHER_CLIENT), by, second.pk)
    assert str(service.get(office.pk).application.client_id) == office_data.client_id  # type: ignore[union-attr]
    assert credentials.list_for(service.get(second.pk)) == []


def test_the_last_mailbox_takes_application_and_credentials_along(
    office: Mailbox, office_data: MailboxData, by: Actor
) -> None:
    second = service.save(replace(office_data, name="Second"), by)
    service.delete(office.pk, by)
    assert Credential.objects.count() == 1
    service.delete(second.pk, by)
    assert (Application.objects.count(), Credential.objects.count()) == (0, 0)
    assert [action for action, _ in events()][-2:] == ["mailbox.deleted", "application.deleted"]


def test_names_are_unique_whatever_their_case(office: Mailbox, office_data: MailboxData, by: Actor) -> None:
    with pytest.raises(Invalid) as caught:
        service.save(replace(office_data, name="OFFICE"), by)
    assert "already" in caught.value.errors["name"][0]


def test_nothing_is_kept_of_what_is_refused(office_data: MailboxData, by: Actor, db: None) -> None:
    with pytest.raises(Invalid):
        service.save(replace(office_data, client_id="no"), by)
    assert (Mailbox.objects.count(), Application.objects.count(), events()) == (0, 0, [])


def test_the_first_is_the_default_and_there_is_only_one(make: Make, by: Actor) -> None:
    first, second = make(), make(name="Second")
    assert (first.is_default, second.is_default) == (True, False)
    service.make_default(second.pk, by)
    assert [row.name for row in service.list_mailboxes() if row.is_default] == ["Second"]


def test_the_marks_leave_the_proof_standing(make: Make, by: Actor) -> None:
    mailbox = make()
    before = service.get(mailbox.pk).changed_at
    service.make_default(make(name="Second").pk, by)
    service.make_default(mailbox.pk, by)
    service.set_enabled(mailbox.pk, False, by)
    assert service.get(mailbox.pk).changed_at == before
    assert ("mailbox.disabled", "Plain") in events()


def test_copy_takes_settings_and_application_but_no_password(make: Make, office: Mailbox, by: Actor) -> None:
    plain = make(copies_to=("archive@example.org",))
    credentials.add(plain, "password", "letmein-letmein", None, by)
    twin = service.copy(plain.pk, "Twin", by)
    assert twin.copies_to == ["archive@example.org"]
    assert credentials.list_for(twin) == []
    assert len(credentials.list_for(service.copy(office.pk, "Office 2", by))) == 1


def test_search_is_by_part_of_name_or_address(make: Make) -> None:
    make()
    make(name="Sales", address="shop@example.org")
    assert [row.name for row in service.list_mailboxes("SHOP")] == ["Sales"]
    assert [row.name for row in service.list_mailboxes("lai")] == ["Plain"]


def test_find_by_name_address_number_or_default(make: Make) -> None:
    plain, sales = make(), make(name="Sales", address="shop@example.org")
    assert [service.find(word).pk for word in ("", "sales", "SHOP@example.org", str(sales.pk))] == [
        plain.pk,
        sales.pk,
        sales.pk,
        sales.pk,
    ]
    make(name="Shop too", address="shop@example.org")
    with pytest.raises(NotFound, match="several"):
        service.find("shop@example.org")
    with pytest.raises(NotFound, match="no mailbox 'x'"):
        service.find("x")


def test_a_broken_row_says_so_and_leaves_the_others_alone(make: Make, office: Mailbox) -> None:
    make()
    Mailbox.objects.filter(pk=office.pk).update(copies_to=7)
    Application.objects.update(cloud="gone")
    rows = {row.name: row for row in service.list_mailboxes()}
    assert rows["Office"].health.state is State.UNREADABLE
    assert rows["Plain"].health.state is State.UNPROVED


def test_an_unreadable_credential_shows_as_that(office: Mailbox) -> None:
    Credential.objects.update(sealed=b"\x01" + b"?" * 60)
    (row,) = service.list_mailboxes()
    assert row.health.state is State.UNREADABLE
    assert row.health.text.startswith("cannot read its credential: ")


def test_the_list_costs_the_same_queries_for_one_and_for_many(make: Make, office: Mailbox) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            service.list_mailboxes()
        return len(queries)

    make()
    few = cost()
    for number in range(8):
        make(name=f"More {number}")
    assert cost() == few


def test_the_latest_finished_proof_counts(make: Make) -> None:
    mailbox = make(sign_in_by="none")
    for passed in (False, True, None):
        Proof.objects.create(
            mailbox=mailbox, passed=passed, finished_at=None if passed is None else service.now(), stages=[]
        )
    (row,) = service.list_mailboxes()
    assert row.health.state is State.HEALTHY
