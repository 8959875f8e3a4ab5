"""A tenant, Postroom beside it, a mailbox and the SMTP door before it: what the clients of others are pointed at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.door import Door, opened, waited
from support.lab import RunningLab
from support.mail_access import MailAccess
from support.postroom import Postroom, RunningPostroom

PERSON = "megan@contoso.example"


@dataclass
class Post:
    """The open door, and a look into the inbox at the other end."""

    door: Door
    mail: MailAccess

    @property
    def sender(self) -> str:
        return self.mail.mailbox

    def arrived(self, subject: str) -> bytes:
        """The letter with this subject, waited for."""
        found: list[bytes] = []

        def look() -> bool:
            letters = self.mail.messages("inbox", PERSON)
            found[:] = [raw for raw in letters if f"Subject: {subject}\r\n".encode() in raw]
            return bool(found)

        waited(look)
        return found[0]


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    home = tmp_path_factory.mktemp("home")
    postroom = Postroom(home)
    with RunningLab() as lab:
        postroom.add_cloud(lab.cloud)
        application, mail = lab.application, MailAccess(lab)
        with RunningPostroom(postroom):
            postroom.cli(
                *("mailbox", "add", "Door", "--provider", "microsoft-365", "--address", mail.mailbox),
                *("--cloud", "lab", "--tenant", lab.tenant_id, "--client-id", application["client_id"]),
                *("--service-principal-id", application["service_principal_id"]),
            )
            postroom.cli("credential", "add", "Door", stdin=application["client_secret"] + "\n")
            yield Post(opened(postroom, "foreign", "Door"), mail)
