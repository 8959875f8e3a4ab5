"""Postroom's own verbs, a mailbox at the lab, and the lab in a process of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from postroom.accounts.audit import Actor
from postroom.core.settings import settings
from postroom.mailboxes import connect, credentials, known_clouds, proofs, service
from postroom.mailboxes.models import Mailbox, Proof
from postroom.mailboxes.proof import Patience
from postroom.mailboxes.token_source import token_source
from postroom.mailboxes.values import MailboxData
from postroom.microsoft.clouds import write_cloud
from support.lab import RunningLab

BY = Actor("admin@contoso.example", "192.0.2.1")
AT_ONCE = Patience(read_back=10, poll=0.2, spreading=())
PERSON = "megan@contoso.example"


@pytest.fixture(scope="module")
def running_lab() -> Iterator[RunningLab]:
    with RunningLab() as lab:
        yield lab


@dataclass
class World:
    """The lab, and Postroom's mailbox on it."""

    lab: RunningLab
    home: Path

    @property
    def application(self) -> str:
        return self.lab.application["client_id"]

    @property
    def principal(self) -> str:
        return self.lab.application["service_principal_id"]

    @property
    def address(self) -> str:
        return self.lab.application["mailbox"]

    def cloud(self, **differences: Any) -> None:
        """Tells Postroom of the lab as of one more cloud."""
        write_cloud(self.home / "clouds", self.lab.cloud | differences)

    def mailbox(self, *, secret: str | None = None, **differences: Any) -> Mailbox:
        """The ready-made mailbox, with these fields different; `secret=""` gives it no credential."""
        values: dict[str, Any] = {
            "name": "Notifications",
            "address": self.address,
            "cloud": "lab",
            "tenant": self.lab.tenant_id,
            "client_id": self.application,
            "service_principal_id": self.principal,
            "read_inbox": True,
        }
        mailbox = service.save(MailboxData(**values | differences), BY)
        given = self.lab.application["client_secret"] if secret is None else secret
        if mailbox.sign_in_by == "oauth" and given:
            credentials.add(credentials.owner_of(mailbox), "secret", given, None, BY)
        return service.get(mailbox.pk)

    def prove(self, mailbox: Mailbox, patience: Patience = AT_ONCE) -> Proof:
        return proofs.run(mailbox.pk, PERSON, BY, patience=patience)

    def fault(self, name: str, times: int | None = None, **values: Any) -> None:
        self.lab.control("PUT", f"/faults/{name}", {"times": times, "values": values})

    def revoke(self, *roles: str, resource: str = "exchange") -> None:
        for role in roles:
            self.lab.control("DELETE", f"/applications/{self.application}/roles/{resource}/{role}")

    def change_mailbox(self, **values: Any) -> None:
        self.lab.control("PATCH", f"/mailboxes/{self.address}", values)


@pytest.fixture
def world(running_lab: RunningLab, transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    running_lab.reset()
    token_source.cache_clear()
    # Only where clouds and proxy are looked up: the database stays the tests' own.
    here = replace(settings(), home=tmp_path, proxy="")
    monkeypatch.setattr(known_clouds, "settings", lambda: here)
    monkeypatch.setattr(connect, "settings", lambda: here)
    world = World(running_lab, tmp_path)
    world.cloud()
    return world


def new_guid() -> str:
    return str(uuid.uuid4())


def faults(proof: Proof) -> dict[str, str]:
    """Failed stage -> id of the fault that was named."""
    return {
        stage["stage"]: (stage["diagnosis"] or {}).get("fault", stage["detail"])
        for stage in proof.stages
        if stage["state"] == "failed"
    }


def states(proof: Proof) -> dict[str, str]:
    return {stage["stage"]: stage["state"] for stage in proof.stages}
