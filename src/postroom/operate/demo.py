"""The demonstration: a lab tenant and Postroom, a mailbox configured through an Azure application, proved, used.

It goes through the verbs that console and command line use. Nothing but the values typed in knows of the lab.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from postroom.accounts import links
from postroom.accounts import service as people
from postroom.accounts.audit import Actor
from postroom.accounts.choices import Role
from postroom.accounts.models import Person
from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.mailboxes import credentials, proofs, service
from postroom.mailboxes.proof import Patience
from postroom.mailboxes.stages import TITLES, Stage
from postroom.mailboxes.values import MailboxData
from postroom.microsoft.clouds import write_cloud

BY = Actor("demo")
CLOUD = "lab"


@dataclass(frozen=True, slots=True)
class Way:
    """One configuration of the mailbox: how it sends and reads, by the provider that presets it."""

    name: str
    provider: str
    sends: str
    reads: str


WAYS = (
    Way("Notifications", "microsoft-365", "SMTP with XOAUTH2", "IMAP"),
    Way("Notifications (POP3)", "microsoft-365-pop3", "SMTP with XOAUTH2", "POP3"),
    Way("Notifications (Graph)", "microsoft-365-graph", "Graph", "Graph"),
)

Tell = Callable[[str], None]


class Telling:
    """Prints each step with its time."""

    def __init__(self, say: Tell) -> None:
        self._say = say

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._say(f"  {time.monotonic() - begun:6.2f} s  {title}")

    def stage(self, stage: Stage) -> None:
        if stage.state in {"passed", "failed"}:
            mark = "ok  " if stage.state == "passed" else "FAIL"
            cause = stage.diagnosis.cause if stage.diagnosis else stage.detail
            self._say(f"  {stage.seconds:6.2f} s    {mark} {TITLES[stage.stage]}: {cause}")


def set_up(lab: dict[str, Any], telling: Telling) -> Person:
    """Brings cloud, administrator and mailboxes in line with the lab; returns the administrator. May be repeated."""
    with telling.step("the lab's hosts, ports and certificate authority added as one more cloud"):
        write_cloud(settings().home / "clouds", lab["cloud"] | {"name": CLOUD})
    with telling.step(f"administrator {lab['administrator']['upn']} may sign in to the console"):
        administrator = _administrator(lab["administrator"]["upn"])
    for way in WAYS:
        with telling.step(f"mailbox '{way.name}' configured through the Azure application: {way.sends}, {way.reads}"):
            _configure(way, lab)
    return administrator


def prove(way: Way, recipient: str, telling: Telling) -> bool:
    """Proves one configuration, stage by stage; True when a mail went out and was read back."""
    mailbox = service.find(way.name)
    patience = Patience(spreading=(1.0, 2.0, 4.0))
    return bool(proofs.run(mailbox.pk, recipient, BY, patience=patience, watch=telling.stage).passed)


def main_job(lab: dict[str, Any], say: Tell) -> Person:
    """Everything from an empty home to proved mailboxes. Raises `Fault` when a proof fails."""
    telling = Telling(say)
    say("Setting up")
    administrator = set_up(lab, telling)
    for way in WAYS:
        say(f"Proving '{way.name}'")
        if not prove(way, administrator.email, telling):
            raise Fault(f"the mailbox {way.name!r} could not be proved", "The stage marked FAIL above says why.")
        say(f"A mail was sent by {way.sends} and read back over {way.reads}.")
    return administrator


def sign_in_link(console: str, administrator: Person) -> str:
    """A link that signs the administrator in, once."""
    return links.address(console, links.make(administrator, BY))


def _administrator(email: str) -> Person:
    try:
        return people.find(email)
    except Fault:
        return people.add_person(email, Role.ADMINISTRATOR, BY, name="Ada Administrator")


def _configure(way: Way, lab: dict[str, Any]) -> None:
    application = lab["application"]
    typed_in = {
        "address": application["mailbox"],
        "tenant": lab["tenant_id"],
        "client_id": application["client_id"],
        "object_id": application["object_id"],
        "service_principal_id": application["service_principal_id"],
    }
    present = next((row.id for row in service.list_mailboxes(way.name) if row.name == way.name), None)
    if present is None:
        data = MailboxData(name=way.name, provider=way.provider, read_inbox=True, cloud=CLOUD, **typed_in)
        mailbox = service.save(replace(data, display_name="Contoso Notifications"), BY)
    else:
        mailbox = service.get(present)
        kept = service.data_of(mailbox)
        if replace(kept, **typed_in) != kept:
            mailbox = service.save(replace(kept, **typed_in), BY, present)
    if not credentials.list_for(mailbox):
        credentials.add(credentials.owner_of(mailbox), "secret", application["client_secret"], None, BY)
