"""A lab for each module, put back to its beginning before each test, and Postroom's command on a home of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.lab import RunningLab
from support.mail_access import MailAccess
from support.postroom import Postroom

PERSON = "megan@contoso.example"


@pytest.fixture(scope="module")
def running_lab() -> Iterator[RunningLab]:
    with RunningLab() as lab:
        yield lab


@dataclass
class House:
    """A tenant, and Postroom beside it, steered by commands only."""

    lab: RunningLab
    postroom: Postroom

    @property
    def mail(self) -> MailAccess:
        return MailAccess(self.lab)

    def cli(self, *arguments: str, **more: Any) -> Any:
        return self.postroom.cli(*arguments, **more)

    def application(self, name: str) -> dict[str, str]:
        """A new application in the tenant, set up right, for the ready-made one's mailbox; keys as of that one."""
        roles = {"exchange": ["SMTP.SendAsApp", "IMAP.AccessAsApp"], "graph": ["Mail.Send", "Mail.ReadWrite"]}
        made = self.lab.control("POST", "/applications", {"name": name, "roles": roles})
        principal, (secret,) = made["service_principal_id"], made["secrets"]
        self.lab.control("POST", "/exchange/principals", {"app_id": made["app_id"], "object_id": principal})
        self.lab.control("PUT", f"/mailboxes/{self.mail.mailbox}/rights/full-access/{principal}")
        return {
            "client_id": made["app_id"],
            "service_principal_id": principal,
            "client_secret": secret["value"],
            "secret_id": secret["key_id"],
        }

    def add(
        self,
        name: str,
        *options: str,
        provider: str = "microsoft-365",
        address: str = "",
        application: dict[str, str] | None = None,
        secret: bool = True,
    ) -> Any:
        """A mailbox of the application, the ready-made one when left out, with its secret from standard input."""
        application = application or self.lab.application
        added = self.cli(
            "mailbox",
            "add",
            name,
            *("--provider", provider, "--address", address or self.mail.mailbox, "--cloud", "lab", "--read"),
            *("--tenant", self.lab.tenant_id, "--client-id", application["client_id"]),
            *("--service-principal-id", application["service_principal_id"]),
            *options,
        )
        # Mailboxes of one application share its credentials.
        if secret and not added["credentials"]:
            self.give(name, application["client_secret"])
        return added

    def give(self, name: str, secret: str) -> Any:
        return self.cli("credential", "add", name, stdin=secret + "\n")

    def prove(self, name: str, exit_code: int = 0) -> dict[str, str]:
        """`mailbox test`: stage -> state, or the id of the fault that was named."""
        proof = self.cli("mailbox", "test", name, "--to", PERSON, "--no-retry", exit_code=exit_code)
        return {
            stage["stage"]: stage["diagnosis"]["fault"] if stage["diagnosis"] else stage["state"]
            for stage in proof["stages"]
        }

    def send(self, name: str, *options: str, exit_code: int = 0, **more: Any) -> Any:
        return self.cli("send", "--mailbox", name, *options, exit_code=exit_code, **more)

    def count_tokens(self) -> None:
        """From now on `tokens` are counted. The lab says how often a fault still strikes: this one harms nobody."""
        self.mail.fault("token-short", times=_COUNTED, seconds=3600)

    @property
    def tokens(self) -> int:
        """Tokens given since `count_tokens`."""
        (fault,) = (one for one in self.lab.control("GET", "/faults") if one["name"] == "token-short")
        return _COUNTED - int(fault["times"])


_COUNTED = 1000


@pytest.fixture(scope="module")
def postroom(tmp_path_factory: pytest.TempPathFactory, running_lab: RunningLab) -> Postroom:
    """An empty home, but for the lab as one more cloud."""
    postroom = Postroom(tmp_path_factory.mktemp("home"))
    postroom.add_cloud(running_lab.cloud)
    assert postroom.run("migrate").returncode == 0
    return postroom


@pytest.fixture
def house(running_lab: RunningLab, postroom: Postroom) -> House:
    running_lab.reset()
    return House(running_lab, postroom)
