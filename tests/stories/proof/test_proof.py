"""A mailbox is proved against the lab, by every protocol and with every credential: mail goes out and is read back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postroom.mail.addresses import Address
from postroom.mail.compose import Draft
from postroom.mailboxes import credentials, mailing, proofs, service
from postroom.mailboxes.health import State
from postroom.mailboxes.models import Credential

from .conftest import AT_ONCE, BY, PERSON, World, faults, states

WAYS = {
    "smtp-imap": {},
    "smtp-pop3": {"provider": "microsoft-365-pop3"},
    "graph": {"provider": "microsoft-365-graph"},
    "smtp-graph": {"read_by": "graph"},
    "graph-imap": {"send_by": "graph"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_out_and_back(world: World, way: dict[str, Any]) -> None:
    proof = world.prove(world.mailbox(**way))
    assert faults(proof) == {}
    assert set(states(proof).values()) == {"passed"}
    assert proof.passed
    arrived = world.lab.control("GET", f"/mailboxes/{PERSON}")["folders"]
    assert arrived["INBOX"] == 1
    (row,) = service.list_mailboxes()
    assert row.health.state is State.HEALTHY


def test_a_generated_certificate_proves_the_application(world: World) -> None:
    mailbox = world.mailbox(secret="")
    view = credentials.generate_certificate(credentials.owner_of(mailbox), BY)
    world.lab.control(
        "POST", f"/applications/{world.application}/certificates", {"certificate": view.public_certificate}
    )
    assert faults(world.prove(mailbox)) == {}


def test_a_federated_token_file_proves_the_application(world: World) -> None:
    mailbox = world.mailbox(secret="")
    issued = world.lab.control("POST", "/federated-token", {"subject": "postroom"})
    world.lab.control(
        "POST",
        f"/applications/{world.application}/federated",
        {"issuer": issued["issuer"], "subject": "postroom"},
    )
    file = world.home / "token"
    file.write_text(issued["token"])
    credentials.add(credentials.owner_of(mailbox), "federated-file", str(file), None, BY)
    assert faults(world.prove(mailbox)) == {}


def test_a_successor_takes_over_without_a_stop(world: World) -> None:
    mailbox = world.mailbox(secret="Qx8~gone.Secret-value_0123456789abcdWXYZ")
    credentials.add(credentials.owner_of(mailbox), "secret", world.lab.application["client_secret"], None, BY)
    assert world.prove(mailbox).passed
    first, second = Credential.objects.order_by("rank")
    assert (first.refused_with, second.refused_with) == ("AADSTS7000215", "")


def test_real_mail_goes_the_same_way(world: World) -> None:
    mailbox = world.mailbox(subject_prefix="[Test]", copies_to=("adele@contoso.example",), display_name="Post")
    draft = Draft(
        sender=mailing.sender_of(service.effective(mailbox)), to=(Address(PERSON),), subject="Hello", text="Body"
    )
    report = mailing.send(mailbox.pk, draft, BY)
    assert report.sent
    assert report.recipients == (PERSON, "adele@contoso.example")
    assert report.server_message_id not in {"", report.message_id}


def test_the_folder_is_listed_and_a_message_read(world: World) -> None:
    mailbox = world.mailbox()
    world.prove(mailbox)
    (entry,) = mailing.inbox(mailbox.pk)
    assert (entry.subject, entry.sender, entry.seen) == (
        "Test of the mailbox Notifications",
        world.address,
        False,
    )
    message = mailing.read(mailbox.pk, entry.uid)
    assert "Postroom sent this" in message.text()


def test_a_change_that_spreads_is_waited_for(world: World) -> None:
    mailbox = world.mailbox()
    world.lab.control("DELETE", f"/exchange/principals/{world.principal}")

    def mended(stage: object) -> None:
        if "may still be spreading" in str(stage):
            known = {"app_id": world.application, "object_id": world.principal}
            world.lab.control("POST", "/exchange/principals", known)

    proof = proofs.run(mailbox.pk, PERSON, BY, patience=replace(AT_ONCE, spreading=(0.0, 0.0)), watch=mended)
    assert proof.passed, faults(proof)
